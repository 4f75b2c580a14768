//! Byte searches eight bytes at a time, in plain integer arithmetic: wasm modules are
//! built without SIMD, and `usize` there is four bytes.

const fn splat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

const HIGH: u64 = splat(0x80);

/// Marks the bytes equal to `byte`. Only the lowest mark is sure: the subtraction may
/// borrow into bytes above a true match.
const fn equal(word: u64, byte: u8) -> u64 {
    let x = word ^ splat(byte);
    x.wrapping_sub(splat(1)) & !x & HIGH
}

/// Marks the bytes below 0x20, under the same rule.
const fn control(word: u64) -> u64 {
    word.wrapping_sub(splat(0x20)) & !word & HIGH
}

/// Position of the first byte that `marks` marks, or the length.
fn find(bytes: &[u8], mut marks: impl FnMut(u64) -> u64) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let marked = marks(u64::from_le_bytes(*word));
        if marked != 0 {
            return at + (marked.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    if !tail.is_empty() {
        let mut word = [b'x'; 8];
        for (to, from) in word.iter_mut().zip(tail) {
            *to = *from;
        }
        let marked = marks(u64::from_le_bytes(word));
        if marked != 0 {
            return at + (marked.trailing_zeros() / 8) as usize;
        }
    }
    bytes.len()
}

/// Length of the run of plain text of a JSON string, and whether it may hold non-ASCII
/// bytes: up to the first quote, backslash or control character.
pub(crate) fn strict_text(bytes: &[u8]) -> (usize, bool) {
    let mut seen = 0;
    let length = find(bytes, |word| {
        seen |= word;
        equal(word, b'"') | equal(word, b'\\') | control(word)
    });
    (length, seen & HIGH != 0)
}

/// Length of the run up to the first quote or backslash.
pub(crate) fn text(bytes: &[u8]) -> usize {
    find(bytes, |word| equal(word, b'"') | equal(word, b'\\'))
}

/// Length of the run up to the first quote, bracket or brace.
pub(crate) fn nested(bytes: &[u8]) -> usize {
    const CASE: u64 = splat(0x20); // makes `[` and `{`, `]` and `}` alike
    find(bytes, |word| {
        equal(word, b'"') | equal(word | CASE, b'{') | equal(word | CASE, b'}')
    })
}

/// Length of the run up to the first carriage return or line feed.
pub(crate) fn line(bytes: &[u8]) -> usize {
    find(bytes, |word| equal(word, b'\n') | equal(word, b'\r'))
}

/// Whether `"usage` occurs: a Boyer-Moore-Horspool search, which needs no preparation
/// and looks at about every fifth byte.
pub(crate) fn mentions_usage(bytes: &[u8]) -> bool {
    const NEEDLE: &[u8; 6] = b"\"usage";
    let mut rest = bytes;
    while let Some(window) = rest.first_chunk::<6>() {
        let [.., last] = window;
        let step = match last {
            b'e' if window == NEEDLE => return true,
            b'g' => 1,
            b'a' => 2,
            b's' => 3,
            b'u' => 4,
            b'"' => 5,
            _ => 6,
        };
        rest = rest.get(step..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn searches_agree_with_plain_loops(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(b'\n'), Just(b'['), Just(b'}'), Just(b'x')], 0..40)
        ) {
            let plain = |stop: &dyn Fn(u8) -> bool| bytes.iter().position(|b| stop(*b)).unwrap_or(bytes.len());
            prop_assert_eq!(strict_text(&bytes).0, plain(&|b| b == b'"' || b == b'\\' || b < 0x20));
            prop_assert_eq!(text(&bytes), plain(&|b| b == b'"' || b == b'\\'));
            prop_assert_eq!(nested(&bytes), plain(&|b| b"\"[]{}".contains(&b)));
            prop_assert_eq!(line(&bytes), plain(&|b| b == b'\n' || b == b'\r'));
            let run = &bytes[..strict_text(&bytes).0];
            prop_assert!(run.is_ascii() || strict_text(&bytes).1);
        }

        #[test]
        fn usage_is_found_wherever_it_is(text in "[\"usage ]{0,40}") {
            prop_assert_eq!(mentions_usage(text.as_bytes()), text.contains("\"usage"));
        }
    }
}
