//! Who may call: the gateway's own credentials, and nobody else's.

use hyper::StatusCode;

use crate::answer::{Refusal, Request};
use crate::bedrock::signature::{self, AccessKey, SignatureError};
use crate::provider::Provider;

/// The keys that the gateway holds for the demo's providers.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) azure_openai: String,
    pub(crate) openai: String,
    pub(crate) anthropic: String,
    pub(crate) gemini: String,
    /// An OAuth 2 access token.
    pub(crate) vertex: String,
    pub(crate) bedrock: AccessKey,
}

impl Credentials {
    /// Whether the request carries the provider's key in the provider's manner.
    pub(crate) fn check(&self, provider: Provider, request: &Request) -> Result<(), Refusal> {
        match provider {
            Provider::AzureOpenai if request.header("api-key") == Some(&self.azure_openai) => {
                Ok(())
            }
            Provider::OpenaiCompatible if bearer(request) == Some(&self.openai) => Ok(()),
            Provider::Anthropic if request.header("x-api-key") == Some(&self.anthropic) => Ok(()),
            Provider::Gemini if request.header("x-goog-api-key") == Some(&self.gemini) => Ok(()),
            Provider::Vertex if bearer(request) == Some(&self.vertex) => Ok(()),
            Provider::Bedrock => {
                signature::verify(request, &self.bedrock).map_err(signature_refused)
            }
            provider => Err(key_refused(provider, request)),
        }
    }
}

fn bearer(request: &Request) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}

fn key_refused(provider: Provider, request: &Request) -> Refusal {
    let unauthorized = |message: &str| Refusal::new(StatusCode::UNAUTHORIZED, message);
    match provider {
        Provider::AzureOpenai => unauthorized(
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to \
             provide a valid key for an active subscription and use a correct regional API \
             endpoint for your resource.",
        ),
        Provider::OpenaiCompatible => {
            unauthorized("Incorrect API key provided.").with_code("invalid_api_key")
        }
        Provider::Anthropic => unauthorized("invalid x-api-key"),
        // Google answers a wrong key with 400 and no key at all with 403.
        Provider::Gemini if request.header("x-goog-api-key").is_some() => Refusal::new(
            StatusCode::BAD_REQUEST,
            "API key not valid. Please pass a valid API key.",
        )
        .with_code("API_KEY_INVALID"),
        Provider::Gemini | Provider::Vertex if request.header("authorization").is_some() => unauthorized(
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login \
             cookie or other valid authentication credential.",
        )
        .with_code("ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        Provider::Gemini | Provider::Vertex | Provider::Bedrock => Refusal::new(
            StatusCode::FORBIDDEN,
            "Method doesn't allow unregistered callers (callers without established identity). \
             Please use API Key or other form of API consumer identity to call this API.",
        ),
    }
}

fn signature_refused(error: SignatureError) -> Refusal {
    // AWS answers a wrong signature with 403, not 401.
    Refusal::new(StatusCode::FORBIDDEN, error.to_string()).with_code(match error {
        SignatureError::Missing => "MissingAuthenticationTokenException",
        SignatureError::UnknownKey => "UnrecognizedClientException",
        SignatureError::Malformed => "IncompleteSignatureException",
        _ => "InvalidSignatureException",
    })
}

/// What must not have come through the gateway, if anything has: a caller's own
/// credential, or one of the gateway's headers. Names the place, never the value.
pub(crate) fn leak(request: &Request) -> Option<String> {
    let header = request.headers.iter().find_map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        if name.as_str().starts_with("x-sekisho-") {
            Some(format!("header `{name}`"))
        } else if has_credential(&value) {
            Some(format!("a caller's credential in header `{name}`"))
        } else {
            None
        }
    });
    let in_query =
        || has_credential(&request.query).then(|| "a caller's credential in the query".to_owned());
    header.or_else(in_query)
}

/// A JSON Web Token or a Sekisho key.
fn has_credential(text: &str) -> bool {
    text.split([' ', ',', ';', '=', '&', '"']).any(|word| {
        word.contains("sk-sekisho-")
            || (word.starts_with("eyJ") && word.bytes().filter(|byte| *byte == b'.').count() == 2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_and_a_key_are_recognised_anywhere_in_a_value() {
        assert!(has_credential(
            "Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
        ));
        assert!(has_credential("key=sk-sekisho-abc&alt=sse"));
        assert!(!has_credential("Bearer demo-openai-key"));
    }
}
