//! Characters that no value of a person may have.

/// Why this character cannot be part of a value; none: it can.
#[must_use]
pub fn fault(character: char) -> Option<&'static str> {
    match u32::from(character) {
        _ if character.is_control() => Some("has a line break or control character"),
        0xE000..=0xF8FF | 0xF_0000..=0x10_FFFF => {
            Some("has a character for private use (gaiji): others would read another or none")
        }
        0xFFFD => Some("has the mark for a character that was lost (U+FFFD)"),
        0xFDD0..=0xFDEF => Some("has a code point that is no character"),
        code if code & 0xFFFE == 0xFFFE => Some("has a code point that is no character"),
        // Zero width, line separators, marks and overrides of the writing direction, annotations.
        0x00AD
        | 0x061C
        | 0x180E
        | 0x200B..=0x200F
        | 0x2028..=0x202E
        | 0x2060..=0x206F
        | 0xFEFF
        | 0xFFF9..=0xFFFB
        | 0xE_0000..=0xE_007F => Some("has an invisible character"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_or_read_is_refused_and_names_are_not() {
        for text in [
            "髙﨑",
            "葛\u{e0100}城",
            "Zoë",
            "e\u{301}",
            "ﾔﾏﾀﾞ",
            "山田\u{3000}太郎",
            "𠮷野",
            "O’Brien",
        ] {
            assert_eq!(text.chars().find_map(fault), None, "{text}");
        }
        for character in [
            '\0',
            '\n',
            '\t',
            '\u{7f}',
            '\u{85}',
            '\u{e000}',
            '\u{f8ff}',
            '\u{f0000}',
            '\u{10fffd}',
            '\u{fffd}',
            '\u{ffff}',
            '\u{fdd0}',
            '\u{200b}',
            '\u{202e}',
            '\u{2028}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert!(fault(character).is_some(), "{character:?}");
        }
    }
}
