//! Far more calls of somebody than usual: of a day against the median of the last days on which
//! there were any, and of an hour against the median of these days' busiest hours.

use sekisho_domain::{UnixMillis, WindowUnit};
use serde::{Deserialize, Serialize};

use crate::alerts::config::SuddenVolume;
use crate::ledger::{Calendar, Window};

/// Before there were so many days nothing is unusual.
const LEAST_DAYS: usize = 3;
/// After so long without a call somebody is forgotten.
const REMEMBERED_MILLIS: u64 = 62 * 24 * 3_600_000;

/// How many calls there were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// First moment of the day.
    day: UnixMillis,
    /// Calls of it.
    today: u64,
    /// First moment of the hour.
    hour: UnixMillis,
    /// Calls of it.
    now: u64,
    /// Calls of the busiest hour of the day.
    busiest: u64,
    /// Calls, and those of the busiest hour, of days before; oldest first.
    before: Vec<(u64, u64)>,
    /// Whether the day and the hour have been told of.
    told: (bool, bool),
    /// From when on this means nothing any longer.
    pub(super) expires: UnixMillis,
}

/// A day or an hour with far more calls than usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeHit {
    /// Which.
    pub window: Window,
    /// `a day` or `an hour`.
    pub stretch: &'static str,
    /// How many calls by then.
    pub count: u64,
    /// How many are usual.
    pub usual: u64,
}

/// One more call, at `at`.
#[must_use]
pub fn step(
    rule: &SuddenVolume,
    calendar: &Calendar,
    mut volume: Volume,
    at: UnixMillis,
) -> (Volume, Vec<VolumeHit>) {
    // What comes late counts now.
    let at = at.max(volume.hour);
    let day = calendar.window(WindowUnit::Day, at);
    let hour = calendar.window(WindowUnit::Hour, at);
    if volume.day != day.start {
        if volume.today > 0 {
            volume.before.push((volume.today, volume.busiest));
        }
        let days = usize::from(rule.days);
        let surplus = volume.before.len().saturating_sub(days);
        volume.before.drain(..surplus);
        volume = Volume {
            day: day.start,
            before: volume.before,
            ..Volume::default()
        };
    }
    if volume.hour != hour.start {
        (volume.hour, volume.now, volume.told.1) = (hour.start, 0, false);
    }
    volume.today += 1;
    volume.now += 1;
    volume.busiest = volume.busiest.max(volume.now);
    volume.expires = at.plus_millis(REMEMBERED_MILLIS);
    let mut hits = Vec::new();
    if volume.before.len() >= LEAST_DAYS {
        let usual = median(volume.before.iter().map(|(calls, _)| *calls));
        if !volume.told.0 && volume.today >= least(rule, usual, rule.calls_per_day) {
            volume.told.0 = true;
            hits.push(VolumeHit {
                window: day,
                stretch: "a day",
                count: volume.today,
                usual,
            });
        }
        let usual = median(volume.before.iter().map(|(_, busiest)| *busiest));
        if !volume.told.1 && volume.now >= least(rule, usual, rule.calls_per_hour) {
            volume.told.1 = true;
            hits.push(VolumeHit {
                window: hour,
                stretch: "an hour",
                count: volume.now,
                usual,
            });
        }
    }
    (volume, hits)
}

/// From how many calls on it is sudden.
fn least(rule: &SuddenVolume, usual: u64, floor: u32) -> u64 {
    usual
        .saturating_mul(u64::from(rule.factor))
        .max(u64::from(floor))
}

/// The one in the middle; of an even number the larger of the two there.
fn median(numbers: impl Iterator<Item = u64>) -> u64 {
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: SuddenVolume = SuddenVolume {
        days: 4,
        factor: 3,
        calls_per_day: 20,
        calls_per_hour: 15,
    };
    const DAY: u64 = 86_400_000;
    /// 2026-11-23T09:00 in Tokyo.
    const START: u64 = 1_795_392_000_000;

    /// Days with alerts, from calls of each day, `apart` milliseconds from each other.
    fn raised(days: &[u64], apart: u64) -> Vec<(usize, &'static str, u64, u64)> {
        let calendar = Calendar::new("Asia/Tokyo").unwrap();
        let mut volume = Volume::default();
        let mut raised = Vec::new();
        for (number, calls) in days.iter().enumerate() {
            for call in 0..*calls {
                let at = START + u64::try_from(number).unwrap() * DAY + call * apart;
                let (next, hits) = step(&RULE, &calendar, volume, UnixMillis(at));
                volume = next;
                let hits = hits.into_iter();
                raised.extend(hits.map(|hit| (number, hit.stretch, hit.count, hit.usual)));
            }
        }
        raised
    }

    #[test]
    fn a_day_far_above_the_median_raises_one_alert() {
        let slow = 600_000;
        assert_eq!(raised(&[10, 10, 10, 29], slow), []);
        assert_eq!(raised(&[10, 10, 10, 40], slow), [(3, "a day", 30, 10)]);
        // One wild day does not change what is usual.
        let days = [10, 10, 60, 10, 35];
        assert_eq!(raised(&days, slow), [(4, "a day", 30, 10)]);
        // Days without calls are none.
        let days = [10, 0, 0, 10, 0, 10, 31];
        assert_eq!(raised(&days, slow), [(6, "a day", 30, 10)]);
    }

    #[test]
    fn little_is_never_sudden_and_nothing_is_before_the_third_day() {
        let slow = 600_000;
        assert_eq!(raised(&[1, 1, 1, 19], slow), []);
        assert_eq!(raised(&[1, 1, 1, 25], slow), [(3, "a day", 20, 1)]);
        assert_eq!(raised(&[1, 500], 10_000), []);
    }

    #[test]
    fn an_hour_is_held_against_the_busiest_hours_before() {
        let calendar = Calendar::new("Asia/Tokyo").unwrap();
        let mut volume = Volume::default();
        let mut raised = Vec::new();
        // Ten an hour on three days, and forty within one hour on the fourth.
        for (day, calls, apart) in [
            (0, 30, 360_000),
            (1, 30, 360_000),
            (2, 30, 360_000),
            (3, 40, 60_000),
        ] {
            for call in 0..calls {
                let at = UnixMillis(START + day * DAY + call * apart);
                let (next, hits) = step(&RULE, &calendar, volume, at);
                volume = next;
                raised.extend(
                    hits.into_iter()
                        .map(|hit| (day, hit.stretch, hit.count, hit.usual)),
                );
            }
        }
        assert_eq!(raised, [(3, "an hour", 30, 10)]);
    }

    #[test]
    fn only_so_many_days_are_remembered() {
        let calendar = Calendar::new("Asia/Tokyo").unwrap();
        let mut volume = Volume::default();
        for day in 0..50 {
            (volume, _) = step(&RULE, &calendar, volume, UnixMillis(START + day * DAY));
        }
        assert_eq!(volume.before.len(), 4);
    }
}
