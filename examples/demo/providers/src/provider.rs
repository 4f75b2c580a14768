//! Which providers there are, and on which port each one listens.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Provider {
    AzureOpenai,
    /// Any vendor behind OpenAI's wire format, told apart by the model.
    OpenaiCompatible,
    Anthropic,
    Bedrock,
    Gemini,
    Vertex,
}

impl Provider {
    /// In the order of their ports, beginning with the base port.
    pub(crate) const ALL: [Self; 6] = [
        Self::AzureOpenai,
        Self::OpenaiCompatible,
        Self::Anthropic,
        Self::Bedrock,
        Self::Gemini,
        Self::Vertex,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AzureOpenai => "azure-openai",
            Self::OpenaiCompatible => "openai-compatible",
            Self::Anthropic => "anthropic",
            Self::Bedrock => "bedrock",
            Self::Gemini => "gemini",
            Self::Vertex => "vertex",
        }
    }
}
