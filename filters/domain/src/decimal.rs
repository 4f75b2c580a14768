//! Whole numbers in decimal, without the machinery of general formatting: records and headers of
//! every call are full of them.

/// The most digits that a number has.
const MOST: usize = 20;

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
    pub fn new(mut number: u64) -> Self {
        let mut digits = [b'0'; MOST];
        let mut start = MOST;
        for place in digits.iter_mut().rev() {
            // Less than 10.
            *place = b'0' | (number % 10) as u8;
            number /= 10;
            start -= 1;
            if number == 0 {
                break;
            }
        }
        Self { digits, start }
    }

    /// Its digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        let powers = (0..20).map(|power| 10u64.pow(power));
        let around = powers.flat_map(|power| [power - 1, power, power + 1]);
        for number in around.chain([u64::MAX, u64::MAX - 1, 1 << 32]) {
            assert_eq!(Decimal::new(number).as_str(), number.to_string());
        }
    }
}
