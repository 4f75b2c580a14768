//! Google Vertex AI: Gemini's wire under a project and a location, which are the policy's.
//! Source: `cloud.google.com/vertex-ai/docs/reference/rest`.

use sekisho_domain::Provider;

use crate::gemini::{COUNT, EMBED, GENERATE, STREAM};
use crate::operation::Operation;

const fn at(template: &'static str, operation: Operation) -> Operation {
    Operation {
        template,
        provider: Provider::Vertex,
        ..operation
    }
}

/// All under one publisher.
macro_rules! of {
    ($version:literal, $method:literal) => {
        concat!(
            "/",
            $version,
            "/projects/{project}/locations/{location}/publishers/google/models/{model}:",
            $method
        )
    };
}

pub(crate) const OPERATIONS: &[Operation] = &[
    at(of!("v1", "generateContent"), GENERATE),
    at(of!("v1beta1", "generateContent"), GENERATE),
    at(of!("v1", "streamGenerateContent"), STREAM),
    at(of!("v1beta1", "streamGenerateContent"), STREAM),
    at(of!("v1", "countTokens"), COUNT),
    at(of!("v1beta1", "countTokens"), COUNT),
    at(of!("v1", "embedContent"), EMBED),
    at(of!("v1beta1", "embedContent"), EMBED),
];
