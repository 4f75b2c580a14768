//! Looking for a text in records.

use serde_json::Value;

use crate::store::Dialect;

/// The pattern of `LIKE`, escaped by `!`, that every record matches in which [`says`] finds
/// the text; it may match others, where the text is in a name or over a border.
pub(super) fn pattern(text: &str, dialect: Dialect) -> String {
    let quoted = Value::from(text).to_string();
    let inside = quoted.get(1..quoted.len().saturating_sub(1));
    let mut pattern = String::from("%");
    let mut literal = |character: char| {
        if matches!(character, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(character);
    };
    match dialect {
        Dialect::Sqlite => inside.unwrap_or_default().chars().for_each(&mut literal),
        // The database compares what is readable of the bytes: of whatever is not ASCII its
        // octal digits, which cannot fail on bytes that are no text.
        Dialect::Postgres => {
            for byte in inside.unwrap_or_default().bytes() {
                match byte {
                    b'\\' => "\\\\".chars().for_each(&mut literal),
                    0x80.. => format!("\\{byte:03o}").chars().for_each(&mut literal),
                    _ => literal(char::from(byte)),
                }
            }
        }
    }
    pattern.push('%');
    pattern
}

/// Whether one of the values of a record has the text in it, upper and lower case of ASCII
/// alike. What is the same in all records of a kind does not count.
pub(crate) fn says(body: &[u8], text: &str) -> bool {
    let Ok(Value::Object(record)) = serde_json::from_slice(body) else {
        return false;
    };
    let text = text.to_ascii_lowercase();
    let members = record.iter();
    let mut telling = members.filter(|(name, _)| !matches!(name.as_str(), "schema" | "kind"));
    telling.any(|(_, value)| has(value, &text))
}

fn has(value: &Value, text: &str) -> bool {
    match value {
        Value::String(value) => value.to_ascii_lowercase().contains(text),
        Value::Array(values) => values.iter().any(|value| has(value, text)),
        Value::Object(members) => members.values().any(|value| has(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_count() {
        let body = br#"{"schema":"sekisho.audit.v1","kind":"event","event":{"name":"Backup.Done","after":{"a":["\u5de5 \"x\"", 7]}}}"#;
        for (text, found) in [
            ("backup", true),
            ("UP.D", true),
            ("工", true),
            ("\"X\"", true),
            ("event", false),
            ("sekisho", false),
            ("name", false),
            ("7", false),
        ] {
            assert_eq!(says(body, text), found, "{text}");
        }
        assert!(!says(b"no JSON", "no"));
    }

    #[test]
    fn a_pattern_means_the_text_and_nothing_else() {
        let sqlite = |text| pattern(text, Dialect::Sqlite);
        assert_eq!(sqlite("50%_!"), "%50!%!_!!%");
        assert_eq!(sqlite("a\"b\\工"), "%a\\\"b\\\\工%");
        let postgres = |text| pattern(text, Dialect::Postgres);
        assert_eq!(postgres("a\"b"), "%a\\\\\"b%");
        assert_eq!(postgres("工"), "%\\345\\267\\245%");
    }
}
