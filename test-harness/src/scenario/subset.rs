//! Whether JSON has at least what is expected of it.

use serde_json::Value;

/// Every difference, with its path. Objects may have more members than expected, lists may
/// not; `null` expects that a member is not there.
pub(super) fn differences(expected: &Value, actual: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", expected, Some(actual), &mut found);
    found
}

fn compare(path: &str, expected: &Value, actual: Option<&Value>, found: &mut Vec<String>) {
    let here = if path.is_empty() { "it" } else { path };
    match (expected, actual) {
        (Value::Null, None | Some(Value::Null)) => {}
        (_, None) => found.push(format!("{here} is missing, expected {expected}")),
        (Value::Object(members), Some(Value::Object(there))) => {
            for (name, expected) in members {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                compare(&path, expected, there.get(name), found);
            }
        }
        (Value::Array(items), Some(Value::Array(there))) => {
            if items.len() != there.len() {
                let (expected, actual) = (items.len(), there.len());
                found.push(format!("{here} has {actual} items, expected {expected}"));
            }
            for (at, (expected, actual)) in items.iter().zip(there).enumerate() {
                compare(&format!("{path}[{at}]"), expected, Some(actual), found);
            }
        }
        (expected, Some(actual)) if expected == actual => {}
        (expected, Some(actual)) => found.push(format!("{here} is {actual}, expected {expected}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn more_members_are_fine_and_every_difference_is_named() {
        let actual = json!({"a": 1, "b": {"c": [1, {"d": "x", "e": 2}]}});
        assert!(differences(&json!({"b": {"c": [1, {"d": "x"}]}, "z": null}), &actual).is_empty());
        let found = differences(
            &json!({"a": 2, "b": {"c": [1, {"d": "y"}]}, "q": 1}),
            &actual,
        );
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found.iter().any(|text| text.starts_with("b.c[1].d is")),
            "{found:?}"
        );
    }
}
