//! Provider families and modalities.

use serde::{Deserialize, Serialize};

/// A provider's wire: paths, error bodies, where usage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// OpenAI and whoever speaks its wire.
    #[serde(rename = "openai")]
    OpenAi,
    /// Azure OpenAI: deployments in the path, `api-version` in the query.
    #[serde(rename = "azure_openai")]
    AzureOpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// AWS Bedrock Runtime.
    Bedrock,
    /// Google Gemini (Generative Language API).
    Gemini,
    /// Google Vertex AI: Gemini's wire under a project and a location.
    Vertex,
    /// Any other HTTP API: the policy says what its paths are.
    Http,
}

impl Provider {
    /// The name in the policy file and in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::AzureOpenAi => "azure_openai",
            Self::Anthropic => "anthropic",
            Self::Bedrock => "bedrock",
            Self::Gemini => "gemini",
            Self::Vertex => "vertex",
            Self::Http => "http",
        }
    }
}

/// What an operation handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Text in, text out (and embeddings).
    Text,
    /// Speech in or out.
    Audio,
    /// Pictures out.
    Image,
    /// Moving pictures in or out.
    Video,
}

impl Modality {
    /// Every modality.
    pub const EVERY: &[Self] = &[Self::Text, Self::Audio, Self::Image, Self::Video];

    /// The name in the policy file and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Audio => "audio",
            Self::Image => "image",
            Self::Video => "video",
        }
    }

    /// The modality of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut every = Self::EVERY.iter().copied();
        every.find(|modality| modality.as_str() == name)
    }
}
