//! What a call used, as its provider reported it.

use serde::{Deserialize, Serialize};

use crate::{ByteCount, Tokens};

/// Where the figures come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider reported them.
    Reported,
    /// The provider did not report all of them: what is missing is charged at the worst
    /// case that was reserved.
    #[default]
    Estimated,
}

/// What one call used. The parts of `input` and of `output` are among them, not beside
/// them; what no part names is plain text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens, of every kind.
    pub input: Tokens,
    /// Generated tokens, of every kind, reasoning included.
    pub output: Tokens,
    /// The part of `input` that the provider read from its prompt cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_input: Tokens,
    /// The part of `input` that the provider wrote to its prompt cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_input: Tokens,
    /// The part of `input` that was sound.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub audio_input: Tokens,
    /// The part of `input` that was pictures, moving ones included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub image_input: Tokens,
    /// The part of `output` that the model thought and did not say.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning_output: Tokens,
    /// The part of `output` that was sound.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub audio_output: Tokens,
    /// The part of `output` that was pictures, moving ones included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub image_output: Tokens,
    /// Bodies of request and answer together.
    #[serde(default, skip_serializing_if = "is_none")]
    pub bytes: ByteCount,
}

fn is_zero(tokens: &Tokens) -> bool {
    tokens.0 == 0
}

fn is_none(bytes: &ByteCount) -> bool {
    bytes.0 == 0
}

impl Usage {
    /// Input and output together.
    #[must_use]
    pub fn total(&self) -> Tokens {
        self.input + self.output
    }
}
