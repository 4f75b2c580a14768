use serde::Serialize;
use utoipa::ToSchema;

use crate::usage::Figures;

/// Tokens and bytes that calls used. Kinds are parts of `input_tokens` or of
/// `output_tokens`; days on which an older release counted lack them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Amounts {
    /// Prompt tokens, of every kind.
    input_tokens: u64,
    /// Generated tokens, of every kind.
    output_tokens: u64,
    /// Prompt tokens that came from the provider's cache.
    cached_input_tokens: u64,
    /// Prompt tokens that went to the provider's cache.
    cache_write_input_tokens: u64,
    /// Prompt tokens of sound.
    audio_input_tokens: u64,
    /// Prompt tokens of pictures, moving ones included.
    image_input_tokens: u64,
    /// Generated tokens of reasoning.
    reasoning_output_tokens: u64,
    /// Generated tokens of sound.
    audio_output_tokens: u64,
    /// Generated tokens of pictures, moving ones included.
    image_output_tokens: u64,
    /// Bodies of requests and answers.
    bytes: u64,
    /// Calls of which the provider did not report everything: the rest is charged at its worst case.
    estimated: u64,
}

impl From<&Figures> for Amounts {
    fn from(figures: &Figures) -> Self {
        Self {
            input_tokens: figures.input_tokens.0,
            output_tokens: figures.output_tokens.0,
            cached_input_tokens: figures.cached_input_tokens.0,
            cache_write_input_tokens: figures.cache_write_input_tokens.0,
            audio_input_tokens: figures.audio_input_tokens.0,
            image_input_tokens: figures.image_input_tokens.0,
            reasoning_output_tokens: figures.reasoning_output_tokens.0,
            audio_output_tokens: figures.audio_output_tokens.0,
            image_output_tokens: figures.image_output_tokens.0,
            bytes: figures.bytes.0,
            estimated: figures.estimated,
        }
    }
}
