//! The same place for the same department: weighted rendezvous hashing (Thaler and Ravishankar,
//! "Using name-based mappings to increase hit rates", 1998; with weights: Schindelhauer and
//! Schomaker, 2005). A place that is added or taken away moves only the departments that it
//! takes or had; every gateway comes to the same answer by itself.

/// The place of a key among places with their weights. None: there are no places.
pub(crate) fn home<'p>(
    key: &str,
    places: impl IntoIterator<Item = (&'p str, u32)>,
) -> Option<&'p str> {
    let scored = places
        .into_iter()
        .map(|(place, weight)| (place, score(key, place, weight)));
    scored
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(place, _)| place)
}

/// Larger the luckier; grows with the weight.
fn score(key: &str, place: &str, weight: u32) -> f64 {
    // 53 bits, the most that a float holds exactly; half a step up, so that it is never 0 or 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit into a float")]
    let chance = ((hash(key, place) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(weight) / chance.ln()
}

/// FNV-1a, its bits mixed once more (the finisher of SplitMix64), because FNV leaves the last
/// byte's mark on few of them. It need not withstand anybody: names are the administrator's.
fn hash(key: &str, place: &str) -> u64 {
    let bytes = key.bytes().chain([0]).chain(place.bytes());
    let mut mixed = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn homes(places: &[(&'static str, u32)]) -> Vec<&'static str> {
        (0..10_000)
            .filter_map(|nth| home(&format!("department-{nth}"), places.iter().copied()))
            .collect()
    }

    #[test]
    fn each_place_gets_its_share() {
        let homes = homes(&[("a", 3), ("b", 1)]);
        let share = homes.iter().filter(|place| **place == "a").count();
        assert!((7_300..7_700).contains(&share), "{share}");
    }

    #[test]
    fn a_place_that_is_added_takes_its_share_and_moves_nobody_else() {
        let before = homes(&[("a", 1), ("b", 1)]);
        let after = homes(&[("c", 1), ("b", 1), ("a", 1)]);
        let moved: Vec<_> = before.iter().zip(&after).filter(|(b, a)| b != a).collect();
        assert!(moved.iter().all(|(_, after)| **after == "c"));
        assert!((3_000..3_700).contains(&moved.len()), "{}", moved.len());
    }

    #[test]
    fn where_nothing_is_nobody_lives() {
        assert_eq!(home("x", []), None);
    }
}
