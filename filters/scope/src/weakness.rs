//! Keys that must not be trusted, whoever publishes them: looked for once, when a key set
//! is loaded.

use rsa::BigUint;

/// RFC 7518, section 3.3, and what every implementation can do.
const MIN_BITS: usize = 2048;
const MAX_BITS: usize = 4096;
/// 65537: smaller ones are refused by FIPS 186-5, section 5.4, and others by Envoy.
const EXPONENT: u32 = 65537;
/// Below this no prime may divide a modulus.
const SMALL: u32 = 1 << 12;
/// Steps of Fermat's factorisation: enough for factors that are neighbours (CVE-2022-26320).
const FERMAT_STEPS: u32 = 64;

/// In what way a key is too weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Too short to be safe, or too long to be checked quickly.
    #[error("has {bits} bits; 2048 to 4096 are allowed")]
    Size {
        /// How many it has.
        bits: usize,
    },
    /// Not 65537.
    #[error("has another public exponent than 65537")]
    Exponent,
    /// Even, or with another small factor: not the product of two large primes.
    #[error("has a modulus that is no product of two large primes")]
    Modulus,
    /// Two factors that are so close that anybody finds them.
    #[error("has factors that are too close to each other")]
    CloseFactors,
    /// Made by the flawed generator of CVE-2017-15361 ("ROCA").
    #[error("was made by a generator whose keys can be factored (CVE-2017-15361)")]
    Roca,
    /// A coordinate of P-256 has not 32 bytes.
    #[error("has coordinates of other than 32 bytes")]
    Coordinates,
    /// The coordinates are not those of a point of P-256.
    #[error("is not a point of P-256")]
    NotOnCurve,
}

/// Looks for weaknesses of an RSA key, the cheap ones first.
///
/// # Errors
/// The first [`Weakness`].
pub(crate) fn look_for_weakness(n: &BigUint, e: &BigUint) -> Result<(), Weakness> {
    let bits = n.bits();
    if !(MIN_BITS..=MAX_BITS).contains(&bits) {
        return Err(Weakness::Size { bits });
    }
    if *e != BigUint::from(EXPONENT) {
        return Err(Weakness::Exponent);
    }
    let modulus = n.to_bytes_be();
    if (2..SMALL).any(|divisor| is_prime(divisor) && remainder(&modulus, divisor) == 0) {
        return Err(Weakness::Modulus);
    }
    if has_roca_fingerprint(&modulus) {
        return Err(Weakness::Roca);
    }
    if has_close_factors(n) {
        return Err(Weakness::CloseFactors);
    }
    Ok(())
}

/// By trial: for numbers below [`SMALL`].
fn is_prime(number: u32) -> bool {
    (2..number)
        .take_while(|divisor| divisor * divisor <= number)
        .all(|divisor| !number.is_multiple_of(divisor))
}

fn remainder(number: &[u8], divisor: u32) -> u32 {
    number.chunks(2).fold(0, |rest, chunk| {
        chunk.iter().fold(rest, |rest, byte| {
            ((rest << 8) | u32::from(*byte)) % divisor
        })
    })
}

/// Primes of such keys are `k * M + (65537^a mod M)`, with `M` the product of the first
/// primes: modulo each of these, the modulus is a power of 65537 (Nemec et al., "The Return
/// of Coppersmith's Attack", section 3.3). The primes where that excludes something:
const ROCA_PRIMES: [u32; 17] = [
    11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
];

fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    ROCA_PRIMES.iter().all(|&prime| {
        let rest = remainder(modulus, prime);
        let mut power = 1;
        (0..prime).any(|_| {
            let found = power == rest;
            power = power * (EXPONENT % prime) % prime;
            found
        })
    })
}

/// Whether `n` is `(a - b) * (a + b)` with `a` near its root.
fn has_close_factors(n: &BigUint) -> bool {
    let root = n.sqrt();
    let first = if &root * &root == *n {
        root
    } else {
        root + 1u32
    };
    (0..FERMAT_STEPS).any(|step| {
        let a = &first + step;
        is_square(&(&a * &a - n))
    })
}

fn is_square(number: &BigUint) -> bool {
    // Squares end in few ways: most numbers need no root.
    let end = number.to_bytes_le().first().copied().unwrap_or(0) % 16;
    if !matches!(end, 0 | 1 | 4 | 9) {
        return false;
    }
    let root = number.sqrt();
    &root * &root == *number
}

#[cfg(test)]
mod tests {
    use rsa::RsaPrivateKey;
    use rsa::rand_core::OsRng;
    use rsa::traits::PublicKeyParts as _;

    use super::*;

    fn look(n: &BigUint) -> Result<(), Weakness> {
        look_for_weakness(n, &BigUint::from(EXPONENT))
    }

    /// 2^bits - 1 - below.
    fn near_power(bits: usize, below: u32) -> BigUint {
        (BigUint::from(1u32) << bits) - 1u32 - below
    }

    #[test]
    fn keys_as_they_should_be_have_no_weakness() {
        for _ in 0..2 {
            let key = RsaPrivateKey::new(&mut OsRng, 2048).unwrap();
            assert_eq!(look_for_weakness(key.n(), key.e()), Ok(()));
        }
    }

    #[test]
    fn sizes_and_exponents_are_bounded() {
        for bits in [1, 1024, 2047, 4097, 8192] {
            assert_eq!(look(&near_power(bits, 0)), Err(Weakness::Size { bits }));
        }
        let n = near_power(2048, 0);
        for e in [0u32, 1, 3, 17, 65535, 65539] {
            let found = look_for_weakness(&n, &BigUint::from(e));
            assert_eq!(found, Err(Weakness::Exponent));
        }
    }

    #[test]
    fn small_factors_are_found() {
        assert_eq!(look(&near_power(2048, 1)), Err(Weakness::Modulus)); // even
        assert_eq!(look(&near_power(2048, 0)), Err(Weakness::Modulus)); // 3 * 5 * 17 * ...
        let n = near_power(2036, 0) * 4093u32;
        assert_eq!(look(&n), Err(Weakness::Modulus));
    }

    #[test]
    fn close_factors_are_found() {
        // The 1024-bit number below has no small factor; whether it is prime does not matter.
        let p = near_power(1024, 104);
        for gap in [0u32, 2, 30, 210] {
            let n = &p * (&p - gap);
            let found = look(&n);
            let is_weak = matches!(found, Err(Weakness::CloseFactors | Weakness::Modulus));
            assert!(is_weak, "{gap}: {found:?}");
        }
        assert_eq!(look(&(&p * &p)), Err(Weakness::CloseFactors));
    }

    #[test]
    fn powers_of_65537_modulo_the_first_primes_are_the_fingerprint() {
        // 65537 itself is one; 2 is none modulo 11.
        assert!(has_roca_fingerprint(&[1, 0, 1]));
        assert!(!has_roca_fingerprint(&[2]));
    }
}
