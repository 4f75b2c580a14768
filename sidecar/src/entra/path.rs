//! What may stand in a path of Graph: no name of a person or group can change what is asked.

use std::fmt::Write as _;

/// One segment of a path, or a value of a query (RFC 3986, section 2.1): everything but
/// unreserved characters is escaped. That also holds for `#` in the user names of guests.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// A string in a filter (OData 4.01, URL conventions, section 5.1.1.6.1): quotes are doubled.
/// Escaped for a query.
pub(super) fn literal(text: &str) -> String {
    escaped(&format!("'{}'", text.replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_segment_or_its_literal() {
        assert_eq!(escaped("a/../b?c#EXT#@x"), "a%2F..%2Fb%3Fc%23EXT%23%40x");
        assert_eq!(escaped("関"), "%E9%96%A2");
        assert_eq!(literal("O'Neil' or 1"), "%27O%27%27Neil%27%27%20or%201%27");
    }
}
