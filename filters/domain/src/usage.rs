//! What a call used, as its provider reported it.

use serde::{Deserialize, Serialize};

use crate::Tokens;

/// Where the figures come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider reported them.
    Reported,
    /// The provider did not report them: the worst case that was reserved is charged.
    #[default]
    Estimated,
}

/// Tokens of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens, cached ones included.
    pub input: Tokens,
    /// Generated tokens, reasoning included.
    pub output: Tokens,
    /// The part of `input` that the provider read from its prompt cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_input: Tokens,
}

fn is_zero(tokens: &Tokens) -> bool {
    tokens.0 == 0
}

impl Usage {
    /// Input and output together.
    #[must_use]
    pub fn total(&self) -> Tokens {
        self.input + self.output
    }
}
