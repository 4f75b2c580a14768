//! What happened beside the calls: an administrator changed something, or another system
//! has something to tell.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The source of what the sidecar itself tells. Nobody else may call himself so.
pub const OWN_SOURCE: &str = "sekisho";

/// The part of a record of kind `event` that says what happened. Sizes are bounded by whoever
/// makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event<'a> {
    /// Which system tells it; [`OWN_SOURCE`]: the sidecar itself.
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    /// What happened: words of lower-case letters, digits and `_`, between points
    /// (`apikey.revoke`).
    pub name: Cow<'a, str>,
    /// To whom or what: the public id of a key, a person's id, the name of a budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Cow<'a, str>>,
    /// When it happened by the account of the system that tells it, Unix milliseconds, if that
    /// is not when it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<crate::UnixMillis>,
    /// What it was before; absent: it was not there. Never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it is from then on; absent: it is not there any longer. Never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// How it ended.
    pub outcome: EventOutcome,
    /// More about it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Cow<'a, str>>,
}

/// How what an event tells of has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventOutcome {
    /// It was done.
    #[default]
    Success,
    /// It was not.
    Failure,
    /// Nobody knows.
    Unknown,
}

impl EventOutcome {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Unknown => "unknown",
        }
    }
}
