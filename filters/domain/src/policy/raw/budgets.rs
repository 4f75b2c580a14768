//! Limits of what can be used.

use serde::{Deserialize, Serialize};

use super::present;
use crate::{Meter, Modality, WindowUnit};

/// A limit. Exactly one of `organisation`, `department`, `user` and `key` says whom it binds;
/// at most one of `api`, `model` and `modality` says which calls it counts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawBudget {
    /// Its name.
    pub id: String,
    /// `true`: it binds everybody together.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "bool"))]
    pub organisation: Option<bool>,
    /// It binds a department: its code.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub department: Option<String>,
    /// It binds one person: the company's id of the person, as in the directory.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub user: Option<String>,
    /// It binds one subscription key: the key's public id.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub key: Option<String>,
    /// It counts the calls of one API alone.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub api: Option<String>,
    /// It counts the calls that ask for one model alone, by the name that clients use.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub model: Option<String>,
    /// It counts the calls alone that handle text, sound, pictures or moving pictures.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Modality"))]
    pub modality: Option<Modality>,
    /// What it counts.
    pub meter: Meter,
    /// When it starts anew; not for `concurrency`, which counts calls under way.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "WindowUnit"))]
    pub window: Option<WindowUnit>,
    /// The most that one window may take: a whole number, or for `cost` also a decimal in
    /// quotes. 0: none may pass. There is no unlimited: leave the budget out.
    #[serde(default)]
    pub limit: RawLimit,
    /// What is set aside for an answer that streams: `strict` (default): the most that it can
    /// use. `stream_cut`: an estimate and, as it passes, more; it is cut when there is no more.
    /// For `output_tokens`, `tokens` and `cost`.
    #[serde(default, skip_serializing_if = "RawMode::is_strict")]
    pub mode: RawMode,
    /// With `stream_cut`: output tokens that are set aside before an answer begins and each time
    /// that it needs more; 2000 if not said.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub estimate_tokens: Option<u64>,
    /// With `stream_cut`: output tokens that a provider can have generated, when an answer is
    /// cut, beyond those that have passed; 100 if not said. At most `estimate_tokens`.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub ahead_tokens: Option<u64>,
}

/// What is set aside for answers that stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RawMode {
    /// The most that they can use.
    #[default]
    Strict,
    /// An estimate and, as they pass, more.
    StreamCut,
}

impl RawMode {
    const fn is_strict(&self) -> bool {
        matches!(self, Self::Strict)
    }
}

/// A limit as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RawLimit {
    /// Not at all.
    #[default]
    Missing,
    /// Whole.
    Whole(u64),
    /// Decimal text.
    Decimal(String),
    /// In a way that is none; how.
    Wrong(String),
}
