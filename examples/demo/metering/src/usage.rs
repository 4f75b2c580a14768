//! Tokens of each kind, and what they cost.

use std::ops::AddAssign;

/// The kinds, in the order in which a [`Usage`] has them. Those after the second are parts of the
/// first two.
pub(crate) const KINDS: [&str; 9] = [
    "input",
    "output",
    "cached_input",
    "cache_write_input",
    "audio_input",
    "image_input",
    "reasoning_output",
    "audio_output",
    "image_output",
];

/// Tokens by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage(pub(crate) [u64; KINDS.len()]);

impl Usage {
    /// Reads a kind after the other by name; what is not there is none.
    pub(crate) fn of(figure: impl Fn(&str) -> Option<u64>) -> Self {
        Self(KINDS.map(|kind| figure(kind).unwrap_or(0)))
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        for (sum, part) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(part);
        }
    }
}

/// A model's prices in millionths of the currency: by kind per million tokens, and per call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Price {
    pub(crate) kinds: [Option<u64>; KINDS.len()],
    pub(crate) per_request: u64,
}

impl Price {
    /// What a call costs, in millionths, rounded up once. Worked out here again, not with the
    /// sidecar's own arithmetic.
    pub(crate) fn of(&self, usage: Usage) -> u64 {
        let [
            input,
            output,
            cached,
            written,
            heard,
            seen,
            _thought,
            spoken,
            drawn,
        ] = usage.0;
        let [
            input_price,
            output_price,
            cached_price,
            written_price,
            heard_price,
            seen_price,
            _,
            spoken_price,
            drawn_price,
        ] = self.kinds;
        let read = side(
            input,
            input_price,
            &[
                (written, written_price),
                (cached, cached_price),
                (heard, heard_price),
                (seen, seen_price),
            ],
        );
        let wrote = side(
            output,
            output_price,
            &[(spoken, spoken_price), (drawn, drawn_price)],
        );
        let micros = read.saturating_add(wrote).div_ceil(1_000_000);
        u64::try_from(micros)
            .unwrap_or(u64::MAX)
            .saturating_add(self.per_request)
    }
}

/// Tokens of a kind with a price of its own cost that, all others the plain one.
fn side(all: u64, plain: Option<u64>, parts: &[(u64, Option<u64>)]) -> u128 {
    let mut left = all;
    let mut sum = 0_u128;
    for (tokens, price) in parts {
        let Some(price) = price else { continue };
        let tokens = (*tokens).min(left);
        left = left.saturating_sub(tokens);
        sum = sum.saturating_add(u128::from(tokens).saturating_mul(u128::from(*price)));
    }
    let rest = u128::from(left).saturating_mul(u128::from(plain.unwrap_or(0)));
    sum.saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_rounded_up_once() {
        let price = Price {
            kinds: [
                Some(375_000_000),
                Some(1),
                None,
                None,
                None,
                None,
                None,
                None,
                None,
            ],
            per_request: 7,
        };
        let usage = Usage([2, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(price.of(usage), 750 + 1 + 7);
    }

    #[test]
    fn a_part_with_a_price_of_its_own_is_not_priced_twice() {
        let mut kinds = [None; 9];
        (kinds[0], kinds[2]) = (Some(2_000_000), Some(1_000_000));
        let price = Price {
            kinds,
            per_request: 0,
        };
        assert_eq!(price.of(Usage([10, 0, 4, 0, 0, 0, 0, 0, 0])), 12 + 4);
    }
}
