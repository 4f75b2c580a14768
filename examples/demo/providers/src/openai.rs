//! OpenAI's wire format, as OpenAI-compatible services and Azure OpenAI speak it.

mod chat;
mod embeddings;
mod responses;
mod speech;
mod video;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal, Request};
use crate::shape::{self, Members};

/// Who speaks it; Azure adds content-filter results and names models by deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Azure,
    OpenAi,
}

const AZURE_DEPLOYMENTS: [&str; 7] = [
    "gpt-4o",
    "gpt-4o-mini",
    "tts",
    "tts-hd",
    "sora",
    "text-embedding-3-small",
    "gpt-4.1",
];
const OPENAI_MODELS: [&str; 5] = [
    "gpt-4o",
    "gpt-4o-mini",
    "claude-sonnet",
    "gemini-flash",
    "text-embedding-3-small",
];

pub(crate) fn azure(request: &Request) -> Result<Answer, Refusal> {
    let path = request
        .path
        .strip_prefix("/openai/")
        .ok_or_else(azure_not_found)?;
    if request.query_parameter("api-version").is_none() && !path.starts_with("v1/") {
        return Err(azure_not_found());
    }
    if request.method != Method::POST {
        return Err(azure_not_found());
    }
    let segments: Vec<&str> = path.split('/').collect();
    let (operation, deployment) = match segments.as_slice() {
        ["deployments", deployment, operation @ ..] => (operation.join("/"), Some(*deployment)),
        ["v1", operation @ ..] => (operation.join("/"), None),
        operation => (operation.join("/"), None),
    };
    let members = shape::object(&request.body)?;
    let model = match deployment {
        Some(deployment) => deployment,
        None => shape::required_string(&members, "model")?,
    };
    if !AZURE_DEPLOYMENTS.contains(&model) {
        let message = "The API deployment for this resource does not exist. If you created the \
                       deployment within the last 5 minutes, please wait a moment and try again.";
        return Err(Refusal::new(StatusCode::NOT_FOUND, message).with_code("DeploymentNotFound"));
    }
    match operation.as_str() {
        "video/generations/jobs" => video::answer(request, &members, model),
        operation => answer(request, &members, model, operation, Dialect::Azure)
            .unwrap_or_else(|| Err(azure_not_found())),
    }
}

pub(crate) fn openai(request: &Request) -> Result<Answer, Refusal> {
    let unknown = || {
        let message = format!("Invalid URL ({} {})", request.method, request.path);
        Refusal::new(StatusCode::NOT_FOUND, message)
    };
    let operation = request.path.strip_prefix("/v1/").ok_or_else(unknown)?;
    if request.method == Method::GET && operation == "models" {
        return Ok(models(request));
    }
    if request.method != Method::POST {
        return Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "Not allowed on this URL.",
        ));
    }
    let members = shape::object(&request.body)?;
    let model = shape::required_string(&members, "model")?;
    if !OPENAI_MODELS.contains(&model) {
        let message =
            format!("The model `{model}` does not exist or you do not have access to it.");
        return Err(Refusal::new(StatusCode::NOT_FOUND, message).with_code("model_not_found"));
    }
    answer(request, &members, model, operation, Dialect::OpenAi).unwrap_or_else(|| Err(unknown()))
}

/// `None`: no such operation.
fn answer(
    request: &Request,
    members: &Members,
    model: &str,
    operation: &str,
    dialect: Dialect,
) -> Option<Result<Answer, Refusal>> {
    Some(match operation {
        "chat/completions" => chat::answer(request, members, model, dialect),
        "responses" => responses::answer(request, members, model),
        "embeddings" => embeddings::answer(members, model),
        "audio/speech" => speech::answer(members, model),
        _ => return None,
    })
}

/// The error body: Azure's gateway answers for itself in a shorter one.
pub(crate) fn error_body(refusal: &Refusal, dialect: Dialect) -> Value {
    let status = refusal.status.as_u16();
    let code = refusal.code.map(str::to_owned);
    if dialect == Dialect::Azure && (refusal.status != StatusCode::BAD_REQUEST) {
        let code = code.unwrap_or_else(|| status.to_string());
        return json!({ "error": { "code": code, "message": refusal.message } });
    }
    let kind = match status {
        401 => "authentication_error",
        429 => "rate_limit_exceeded",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    json!({ "error": {
        "message": refusal.message, "type": kind, "param": refusal.param, "code": code,
    }})
}

fn azure_not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "Resource not found")
}

fn models(request: &Request) -> Answer {
    let data: Vec<Value> = OPENAI_MODELS
        .iter()
        .map(|id| json!({ "id": id, "object": "model", "created": 1_715_367_049, "owned_by": "demo" }))
        .collect();
    let body = json!({ "object": "list", "data": data });
    let usage = crate::usage::Usage::default();
    Answer::json("", usage, &body).with_header("x-request-id", &request.id("req_"))
}
