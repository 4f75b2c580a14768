//! Whole numbers in decimal, without the machinery of general formatting: records and headers of
//! every call are full of them.

/// The most digits that a number has.
const MOST: usize = 20;
/// Digits that are taken off a number at once.
const GROUP_DIGITS: usize = 8;
/// One more than the largest number of so many digits.
const GROUP: u64 = 100_000_000;

/// A number in decimal (ASCII).
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    digits: [u8; MOST],
    /// Where the first of them stands.
    start: usize,
}

impl Decimal {
    /// Writes a number down.
    #[must_use]
    pub fn new(number: u64) -> Self {
        let mut digits = [b'0'; MOST];
        let (mut start, mut rest) = (MOST, number);
        // To divide is what takes long, in 64 bits far longer than in 32: so eight digits at a time,
        // and of these two.
        for group in digits.rchunks_mut(GROUP_DIGITS) {
            let is_last = rest < GROUP;
            let mut part = if is_last { rest } else { rest % GROUP } as u32;
            for pair in group.rchunks_exact_mut(2) {
                // Less than 100.
                let two = (part % 100) as u8;
                part /= 100;
                if let [tens, ones] = pair {
                    (*tens, *ones) = (b'0' | (two / 10), b'0' | (two % 10));
                }
                start -= 2;
                if is_last && part == 0 {
                    start += usize::from(two < 10);
                    return Self { digits, start };
                }
            }
            rest /= GROUP;
        }
        Self { digits, start }
    }

    /// Its digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        let powers = (0..20).map(|power| 10u64.pow(power));
        let around = powers.flat_map(|power| [power - 1, power, power + 1]);
        for number in (0..2_000)
            .chain(around)
            .chain([u64::MAX, u64::MAX - 1, 1 << 32])
        {
            assert_eq!(
                Decimal::new(number).as_bytes(),
                number.to_string().as_bytes()
            );
        }
    }
}
