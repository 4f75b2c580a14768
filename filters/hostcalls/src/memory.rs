//! Comparison of bytes. WebAssembly has no instruction for it, and the C library goes byte by byte over
//! the names of headers, models and budgets that every call brings.
#![cfg_attr(
    target_arch = "wasm32",
    expect(unsafe_code, reason = "takes the place of the C library's functions")
)]

/// Less than 0, 0 or more than 0, as the first byte in which two slices of the same length differ
/// is less in the first, nowhere, or more: eight bytes at a time.
#[cfg(any(target_arch = "wasm32", test))]
#[inline]
fn compare(one: &[u8], other: &[u8]) -> i32 {
    let (words, mut rest) = one.as_chunks::<8>();
    let (other_words, mut other_rest) = other.as_chunks::<8>();
    for (word, other) in words.iter().zip(other_words) {
        if u64::from_ne_bytes(*word) != u64::from_ne_bytes(*other) {
            (rest, other_rest) = (word, other);
            break;
        }
    }
    for (byte, other) in rest.iter().zip(other_rest) {
        if byte != other {
            return i32::from(*byte) - i32::from(*other);
        }
    }
    0
}

/// The C library's `memcmp`.
///
/// # Safety
/// Both pointers are to as many readable bytes.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
    // SAFETY: the caller's promise.
    let (one, other) = unsafe {
        (
            std::slice::from_raw_parts(one, length),
            std::slice::from_raw_parts(other, length),
        )
    };
    compare(one, other)
}

/// The C library's `bcmp`: 0 if all bytes are equal.
///
/// # Safety
/// As `memcmp`'s.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { memcmp(one, other, length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_differs_decides() {
        let one: Vec<u8> = (0..40).map(|at| at * 5 + 7).collect();
        for length in 0..one.len() {
            let one = &one[..length];
            assert_eq!(compare(one, one), 0);
            for at in 0..length {
                for by in [1, 0x80, 0xff] {
                    let mut other = one.to_vec();
                    other[at] ^= by;
                    if let Some(later) = other.get_mut(at + 1) {
                        *later ^= 0x55;
                    }
                    let expected = one.cmp(&other) as i32;
                    assert_eq!(compare(one, &other).signum(), expected);
                    assert_eq!(compare(&other, one).signum(), -expected);
                }
            }
        }
    }
}
