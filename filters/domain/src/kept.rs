//! What is kept of the bodies of calls, as records say it.

use serde::{Deserialize, Serialize};

/// Why not all of a body was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// It is longer than the policy keeps.
    Limit,
    /// The gateway had no room for more.
    Memory,
    /// It is no text, and what is no text cannot be redacted.
    Form,
    /// It is compressed, and so cannot be redacted.
    Coding,
}

impl Cut {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Memory => "memory",
            Self::Form => "form",
            Self::Coding => "coding",
        }
    }
}

/// How the bodies of a call were stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The keys under which they are encrypted.
    pub keys: Vec<SealedKey>,
    /// The request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<SealedHalf>,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<SealedHalf>,
}

/// A key of a department.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedKey {
    /// Its number.
    pub id: u64,
    /// SHA-256 of the key as it is stored, encrypted itself, hexadecimal.
    pub sha256: String,
}

/// One body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedHalf {
    /// In how many pieces it is stored.
    pub pieces: u32,
    /// SHA-256 over the SHA-256 of each piece as it is stored, in their order, hexadecimal.
    pub sha256: String,
}
