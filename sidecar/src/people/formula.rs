//! Values that a spreadsheet would run as a formula (CSV injection).

use unicode_normalization::UnicodeNormalization as _;

/// What stands before such a value in files that we write, so that it is text.
const QUOTE: char = '\'';

/// Whether a spreadsheet may take it for a formula. Compatibility forms count as well: some
/// programs take full-width `＝`, `＋`, `－` and `＠` for what they look like.
#[must_use]
pub fn is_formula(value: &str) -> bool {
    let mut characters = value.chars().take(1).nfkc();
    characters
        .next()
        .is_some_and(|first| "=+-@\t\r\n".contains(first))
}

/// The value as it stands in files that we write.
#[must_use]
pub fn neutral(value: &str) -> String {
    let unquoted = value.trim_start_matches(QUOTE);
    // Also what has the quote already gets one: so reading takes off exactly one.
    if is_formula(unquoted) {
        format!("{QUOTE}{value}")
    } else {
        value.to_owned()
    }
}

/// The value, of one that stood in a file that we wrote.
#[must_use]
pub fn plain(value: &str) -> &str {
    match value.strip_prefix(QUOTE) {
        Some(rest) if is_formula(rest.trim_start_matches(QUOTE)) => rest,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_begins_like_a_formula_is_made_text() {
        for value in [
            "=1+1",
            "+81-3",
            "-",
            "@SUM",
            "＝１",
            "＋８１",
            "－",
            "＠ｘ",
            "﹣1",
            "⁺1",
            "\tx",
        ] {
            assert!(is_formula(value), "{value}");
            assert_eq!(neutral(value), format!("'{value}"));
            assert_eq!(plain(&neutral(value)), value);
        }
        for value in ["", "山田", "'ana", "ー", "1-1", "O'Brien"] {
            assert!(!is_formula(value), "{value}");
            assert_eq!(neutral(value), value);
            assert_eq!(plain(value), value);
        }
    }

    proptest! {
        #[test]
        fn a_value_comes_back_as_it_was_and_never_begins_a_formula(value in "['=＝+a -]{0,4}\\PC{0,8}") {
            let written = neutral(&value);
            prop_assert!(!is_formula(&written));
            prop_assert_eq!(plain(&written), &value);
        }
    }
}
