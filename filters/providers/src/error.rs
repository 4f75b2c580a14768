//! Refusals in the words of the API that was called, so that its official SDK raises
//! the exception that its users know.

use sekisho_domain::{Denial, DenialCode, Provider, RecordId};
use serde_json::{Value, json};

use crate::{anthropic, bedrock, gemini, openai};

/// Beyond this a client should not wait and retry by itself, milliseconds.
const PATIENCE: u64 = 60_000;

/// What to answer besides the status, `retry-after` and our own headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBody {
    /// The value of `content-type`.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// Headers that the API's SDK reads, names in lower case.
    pub headers: Vec<(&'static str, String)>,
}

/// The body of a refusal in the shape of the provider's API; without a provider (unknown
/// endpoint) as a problem document (RFC 9457). Each names our code and the record.
#[must_use]
pub fn error_body(provider: Option<Provider>, denial: &Denial, record_id: &RecordId) -> ErrorBody {
    let code = denial.code;
    let (body, headers) = match provider {
        Some(Provider::OpenAi | Provider::AzureOpenAi) => (
            json!({"error": {
                "message": denial.message,
                "type": openai::error_type(code),
                "param": Value::Null,
                "code": code.as_str(),
            }}),
            with(stay_away(denial), "x-request-id", record_id),
        ),
        Some(Provider::Anthropic) => (
            json!({
                "type": "error",
                "error": {
                    "type": anthropic::error_type(code),
                    "message": with_code(denial),
                    "code": code.as_str(),
                },
                "request_id": record_id,
            }),
            with(stay_away(denial), "request-id", record_id),
        ),
        Some(Provider::Gemini | Provider::Vertex) => (google(denial, record_id), Vec::new()),
        Some(Provider::Bedrock) => (
            json!({"message": with_code(denial)}),
            with(
                vec![("x-amzn-errortype", bedrock::exception(code).to_owned())],
                "x-amzn-requestid",
                record_id,
            ),
        ),
        Some(Provider::Http) | None => (problem(denial, record_id), Vec::new()),
    };
    ErrorBody {
        content_type: match provider {
            Some(Provider::Http) | None => "application/problem+json",
            Some(_) => "application/json",
        },
        body: body.to_string().into_bytes(),
        headers,
    }
}

/// For shapes without a place for the code.
fn with_code(denial: &Denial) -> String {
    format!("{} ({})", denial.message, denial.code.as_str())
}

type Headers = Vec<(&'static str, String)>;

fn with(mut headers: Headers, name: &'static str, record_id: &RecordId) -> Headers {
    headers.push((name, record_id.to_string()));
    headers
}

/// Tells the SDKs of OpenAI and Anthropic not to retry what cannot succeed soon.
fn stay_away(denial: &Denial) -> Headers {
    let in_vain = denial.code == DenialCode::BudgetExhausted
        && denial.retry_after_millis.is_none_or(|wait| wait > PATIENCE);
    if in_vain {
        vec![("x-should-retry", "false".to_owned())]
    } else {
        Vec::new()
    }
}

/// A `google.rpc.Status` (AIP-193).
fn google(denial: &Denial, record_id: &RecordId) -> Value {
    let code = denial.code;
    let mut details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": code.as_str().to_ascii_uppercase(),
        "domain": "sekisho",
        "metadata": {"code": code.as_str(), "record_id": record_id},
    })];
    if let Some(millis) = denial.retry_after_millis {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", millis.div_ceil(1000)),
        }));
    }
    json!({"error": {
        "code": code.status(),
        "message": denial.message,
        "status": gemini::error_status(code),
        "details": details,
    }})
}

fn problem(denial: &Denial, record_id: &RecordId) -> Value {
    let code = denial.code;
    json!({
        "type": format!("urn:sekisho:denial:{}", code.as_str()),
        "title": code.meaning(),
        "status": code.status(),
        "detail": denial.message,
        "instance": format!("urn:uuid:{record_id}"),
        "code": code.as_str(),
    })
}

#[cfg(test)]
mod tests;
