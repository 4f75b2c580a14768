//! Checks of a request's body against the members that a provider publishes.

use serde_json::{Map, Value};

use crate::answer::Refusal;

pub(crate) type Members = Map<String, Value>;

/// The body as a JSON object.
pub(crate) fn object(body: &[u8]) -> Result<Members, Refusal> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Refusal::invalid(
            "body",
            "the request body is not a JSON object",
        )),
        Err(error) => Err(Refusal::invalid(
            "body",
            format!("could not parse the body: {error}"),
        )),
    }
}

/// Refuses members that the provider does not know.
pub(crate) fn known_members(members: &Members, known: &[&str]) -> Result<(), Refusal> {
    match members.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(Refusal::invalid(
            key,
            format!("Unrecognized request argument supplied: {key}"),
        )),
    }
}

pub(crate) fn required_string<'a>(members: &'a Members, name: &str) -> Result<&'a str, Refusal> {
    match members.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        None => Err(missing(name)),
        Some(_) => Err(mistyped(name, "a non-empty string")),
    }
}

pub(crate) fn required_array<'a>(members: &'a Members, name: &str) -> Result<&'a [Value], Refusal> {
    match members.get(name) {
        Some(Value::Array(values)) if !values.is_empty() => Ok(values),
        None => Err(missing(name)),
        Some(_) => Err(mistyped(name, "a non-empty array")),
    }
}

/// A positive whole number, if the member is there and is not null.
pub(crate) fn optional_count(members: &Members, name: &str) -> Result<Option<u64>, Refusal> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(count) if count > 0 => Ok(Some(count)),
            _ => Err(mistyped(name, "a positive integer")),
        },
    }
}

pub(crate) fn optional_bool(members: &Members, name: &str) -> Result<bool, Refusal> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(mistyped(name, "a boolean")),
    }
}

/// A value as an object, or the refusal that names it.
pub(crate) fn as_object<'a>(value: &'a Value, name: &str) -> Result<&'a Members, Refusal> {
    value.as_object().ok_or_else(|| mistyped(name, "an object"))
}

pub(crate) fn missing(name: &str) -> Refusal {
    Refusal::invalid(name, format!("Missing required parameter: '{name}'."))
}

pub(crate) fn mistyped(name: &str, expected: &str) -> Refusal {
    Refusal::invalid(
        name,
        format!("Invalid type for '{name}': expected {expected}."),
    )
}
