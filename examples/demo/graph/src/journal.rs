//! What was done, for whoever wants to know what really happened.

use serde::Serialize;
use serde_json::Value;

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// From 0.
    pub number: u64,
    /// Method and path template.
    pub operation: String,
    /// The ids of the path, in their order.
    pub ids: Vec<String>,
    /// The body, without a password.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub body: Value,
    /// The status that it was answered with, or would have been.
    pub status: u16,
    /// Whether it changed anything.
    pub committed: bool,
    /// Whether it came in a batch.
    pub batched: bool,
    /// Whether an answer was sent.
    pub answered: bool,
}

/// Something that Graph would not have taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Method and path, without the query.
    pub call: String,
    /// What is wrong with it.
    pub why: Vec<String>,
}

/// The body, without a password.
pub(crate) fn shown(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(profile) = body
        .get_mut("passwordProfile")
        .and_then(Value::as_object_mut)
        && profile.contains_key("password")
    {
        profile.insert("password".into(), "***".into());
    }
    body
}
