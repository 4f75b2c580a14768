//! UTF-8 (RFC 3629) validation that is quick on text in two- and three-byte characters,
//! where the standard library's loop is several times slower in wasm.

use super::Fault;

/// Checks `bytes` up to a character that their end cuts, and returns that beginning.
///
/// # Errors
/// [`Fault::Invalid`]: not the beginning of any UTF-8.
pub(super) fn check(bytes: &[u8]) -> Result<&[u8], Fault> {
    let mut rest = bytes;
    loop {
        rest = skip_ascii(rest);
        rest = skip_three_bytes(rest);
        rest = match rest {
            [] => return Ok(rest),
            [0..0x80, after @ ..] | [0xC2..=0xDF, 0x80..=0xBF, after @ ..] => after,
            [0xE0..=0xEF, _, _, ..] if is_three_bytes(rest) => rest,
            _ => {
                let window = rest.get(..4).unwrap_or(rest);
                match std::str::from_utf8(window) {
                    Ok(_) => rest.get(window.len()..).unwrap_or_default(),
                    Err(error) if error.valid_up_to() > 0 => {
                        rest.get(error.valid_up_to()..).unwrap_or_default()
                    }
                    Err(error) if error.error_len().is_none() => return Ok(rest),
                    Err(_) => return Err(Fault::Invalid),
                }
            }
        };
    }
}

fn skip_ascii(mut rest: &[u8]) -> &[u8] {
    while let Some((word, after)) = rest.split_first_chunk::<8>()
        && u64::from_le_bytes(*word) & 0x8080_8080_8080_8080 == 0
    {
        rest = after;
    }
    rest
}

fn skip_three_bytes(mut rest: &[u8]) -> &[u8] {
    while is_three_bytes(rest) {
        rest = rest.get(3..).unwrap_or_default();
    }
    rest
}

/// Whether the first character has three bytes and is sound: neither overlong (no bit
/// from 0x800 up) nor a surrogate (0xD800 to 0xDFFF).
fn is_three_bytes(bytes: &[u8]) -> bool {
    let Some([a, b, c]) = bytes.first_chunk::<3>() else {
        return false;
    };
    let word = u32::from_be_bytes([0, *a, *b, *c]);
    let range = word & 0x0F_2000;
    word & 0xF0_C0C0 == 0xE0_8080 && range != 0 && range != 0x0D_2000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agrees(bytes: &[u8]) {
        let expected = match std::str::from_utf8(bytes) {
            Ok(_) => Ok(0),
            Err(error) if error.error_len().is_none() => Ok(bytes.len() - error.valid_up_to()),
            Err(_) => Err(Fault::Invalid),
        };
        assert_eq!(check(bytes).map(<[u8]>::len), expected, "{bytes:02x?}");
    }

    #[test]
    fn every_sequence_of_up_to_three_bytes_is_judged_as_the_standard_library_does() {
        for a in 0x7F..=u8::MAX {
            agrees(&[a]);
            for b in 0..=u8::MAX {
                agrees(&[a, b]);
                for c in [
                    0, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xE0, 0xFF,
                ] {
                    agrees(&[a, b, c]);
                    agrees(&[a, b, c, 0x80]);
                    agrees(&[a, b, c, 0xBF, 0x41]);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_as_the_standard_library_does(
            text in "[a-zé関😀]{0,30}",
            change in any::<Option<(prop::sample::Index, u8)>>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = text.into_bytes();
            if let Some((at, byte)) = change && !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            agrees(&bytes[..cut.index(bytes.len() + 1)]);
        }
    }
}
