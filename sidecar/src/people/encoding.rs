//! In which encoding a file is: UTF-8, or CP932 as Excel in Japan writes it.
//!
//! Decided by strict decoding: a file is in an encoding if every byte of it is. A byte order mark
//! says UTF-8; without one, UTF-8 is tried first, because text of CP932 is hardly ever valid in it.

use std::borrow::Cow;

use encoding_rs::{Encoding as Table, SHIFT_JIS, UTF_8};

const MARK: &[u8] = b"\xef\xbb\xbf";

/// An encoding of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8 without a byte order mark.
    Utf8,
    /// UTF-8 with a byte order mark.
    Utf8Mark,
    /// CP932: Shift_JIS with the characters of NEC and IBM.
    Cp932,
}

impl Encoding {
    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf8Mark => "UTF-8 with byte order mark",
            Self::Cp932 => "CP932",
        }
    }
}

/// A line that is not in the encoding of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// Line, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: &'static str,
}

/// The text of a file.
///
/// # Errors
/// Every line that cannot be read.
pub fn decode(file: &[u8]) -> Result<(Cow<'_, str>, Encoding), Vec<Undecodable>> {
    if let Some(rest) = file.strip_prefix(MARK) {
        return match strictly(UTF_8, rest) {
            Some(text) => Ok((text, Encoding::Utf8Mark)),
            None => Err(lines_not(
                &[UTF_8],
                rest,
                "is not UTF-8, as the file's byte order mark says",
            )),
        };
    }
    if let Some(text) = strictly(UTF_8, file) {
        return Ok((text, Encoding::Utf8));
    }
    if let Some(text) = strictly(SHIFT_JIS, file) {
        // Some lines of UTF-8 are valid in CP932 as well, and would be read as other characters.
        let foreign = japanese_utf8(file);
        return if foreign.is_empty() {
            Ok((text, Encoding::Cp932))
        } else {
            Err(foreign)
        };
    }
    let neither = lines_not(&[UTF_8, SHIFT_JIS], file, "is neither UTF-8 nor CP932");
    if !neither.is_empty() {
        return Err(neither);
    }
    Err(lines_not(&[UTF_8], file, "is CP932, other lines are UTF-8"))
}

fn strictly<'f>(table: &'static Table, bytes: &'f [u8]) -> Option<Cow<'f, str>> {
    table.decode_without_bom_handling_and_without_replacement(bytes)
}

/// Lines that are UTF-8 with characters of three bytes: text of CP932 never is by chance, but for
/// rare kanji alone.
fn japanese_utf8(file: &[u8]) -> Vec<Undecodable> {
    let lines = (1u64..).zip(file.split(|byte| *byte == b'\n'));
    let wrong = lines.filter(|(_, bytes)| {
        let text = std::str::from_utf8(bytes);
        text.is_ok_and(|text| text.chars().any(|character| character >= '\u{800}'))
    });
    let reason = "is UTF-8, other lines are CP932";
    wrong
        .map(|(line, _)| Undecodable { line, reason })
        .collect()
}

/// Lines that are in none of these. No second byte of a character is a line feed.
fn lines_not(tables: &[&'static Table], file: &[u8], reason: &'static str) -> Vec<Undecodable> {
    let lines = (1u64..).zip(file.split(|byte| *byte == b'\n'));
    let wrong =
        lines.filter(|(_, bytes)| tables.iter().all(|table| strictly(table, bytes).is_none()));
    wrong
        .map(|(line, _)| Undecodable { line, reason })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cp932(text: &str) -> Vec<u8> {
        let (bytes, _, unmappable) = SHIFT_JIS.encode(text);
        assert!(!unmappable, "{text}");
        bytes.into_owned()
    }

    #[test]
    fn names_that_only_cp932_has_are_read_to_the_letter() {
        // Characters of NEC and IBM, second bytes like backslash and bar, half-width kana.
        for name in ["髙橋①", "﨑山㈱", "表ソ能", "ﾔﾏﾀﾞ ﾀﾛｳ", "～－∥￢"]
        {
            assert_eq!(
                decode(&cp932(name)),
                Ok((name.into(), Encoding::Cp932)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_mark_says_utf8_and_is_no_part_of_the_text() {
        let file = "\u{feff}山田".as_bytes();
        assert_eq!(decode(file), Ok(("山田".into(), Encoding::Utf8Mark)));
        let mut damaged = file.to_vec();
        damaged.extend(cp932("\n山"));
        assert_eq!(decode(&damaged).unwrap_err()[0].line, 2);
    }

    #[test]
    fn a_file_of_two_encodings_is_neither() {
        let mut file = "山田\nhello\n".as_bytes().to_vec();
        file.extend(cp932("鈴木花子\n"));
        let wrong = decode(&file).unwrap_err();
        assert_eq!((wrong.len(), wrong[0].line), (1, 1));
        file.extend(b"\xff\xfe\n");
        let wrong = decode(&file).unwrap_err();
        assert_eq!(
            (wrong[0].line, wrong[0].reason),
            (4, "is neither UTF-8 nor CP932")
        );
    }

    proptest! {
        #[test]
        fn text_comes_back_as_it_was(text in "[ -~ぁ-んァ-ヶ一-龠\n]{0,200}") {
            let (read, encoding) = decode(text.as_bytes()).unwrap();
            prop_assert_eq!(read.as_ref(), &text);
            prop_assert_eq!(encoding, Encoding::Utf8);
            let (bytes, _, unmappable) = SHIFT_JIS.encode(&text);
            if !unmappable && std::str::from_utf8(&bytes).is_err() {
                let (read, encoding) = decode(&bytes).unwrap();
                prop_assert_eq!(read.as_ref(), &text);
                prop_assert_eq!(encoding, Encoding::Cp932);
            }
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Err(wrong) = decode(&bytes) {
                prop_assert!(!wrong.is_empty());
            }
        }
    }
}
