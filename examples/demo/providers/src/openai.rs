//! OpenAI's wire format, as OpenAI-compatible services and Azure OpenAI speak it.

mod audio;
mod batches;
mod chat;
mod embeddings;
mod files;
mod images;
mod models;
mod responses;
mod speech;
mod video;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal, Request};
use crate::form::Form;
use crate::provider::Provider;
use crate::shape::{self, Members};
use crate::usage::Usage;

/// Who speaks it; Azure adds content-filter results and names models by deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Azure,
    OpenAi,
}

impl Dialect {
    /// Whose files, batches and responses they are.
    fn provider(self) -> Provider {
        match self {
            Self::Azure => Provider::AzureOpenai,
            Self::OpenAi => Provider::OpenaiCompatible,
        }
    }

    fn not_found(self, request: &Request) -> Refusal {
        let message = match self {
            Self::Azure => "Resource not found".to_owned(),
            Self::OpenAi => format!("Invalid URL ({} {})", request.method, request.path),
        };
        Refusal::new(StatusCode::NOT_FOUND, message)
    }
}

pub(crate) fn azure(request: &Request) -> Result<Answer, Refusal> {
    let unknown = || Dialect::Azure.not_found(request);
    let path = request.path.strip_prefix("/openai/").ok_or_else(unknown)?;
    if request.query_parameter("api-version").is_none() && !path.starts_with("v1/") {
        return Err(unknown());
    }
    let segments: Vec<&str> = path.split('/').collect();
    let (operation, deployment) = match segments.as_slice() {
        ["deployments", deployment, operation @ ..] => (operation, Some(*deployment)),
        ["v1", operation @ ..] => (operation, None),
        operation => (operation, None),
    };
    Call {
        request,
        dialect: Dialect::Azure,
        deployment,
    }
    .answer(operation)
}

pub(crate) fn openai(request: &Request) -> Result<Answer, Refusal> {
    let unknown = || Dialect::OpenAi.not_found(request);
    let path = request.path.strip_prefix("/v1/").ok_or_else(unknown)?;
    let segments: Vec<&str> = path.split('/').collect();
    Call {
        request,
        dialect: Dialect::OpenAi,
        deployment: None,
    }
    .answer(&segments)
}

struct Call<'a> {
    request: &'a Request,
    dialect: Dialect,
    /// Azure's deployment in the path, which is the model.
    deployment: Option<&'a str>,
}

impl Call<'_> {
    fn answer(&self, operation: &[&str]) -> Result<Answer, Refusal> {
        let (request, dialect) = (self.request, self.dialect);
        let answer = match (request.method.as_str(), operation) {
            ("POST", ["chat", "completions"]) => {
                self.json(|members, model| chat::answer(request, members, model, dialect))
            }
            ("POST", ["responses"]) => {
                self.json(|members, model| responses::answer(request, members, model, dialect))
            }
            (_, ["responses", id, rest @ ..]) => responses::kept(request, dialect, id, rest),
            ("POST", ["embeddings"]) => self.json(embeddings::answer),
            ("POST", ["images", "generations"]) => {
                self.json(|members, model| images::generations(request, members, model))
            }
            ("POST", ["images", "edits"]) => {
                self.form(|form, model| images::edits(request, form, model))
            }
            ("POST", ["audio", "speech"]) => self.json(speech::answer),
            ("POST", ["audio", "transcriptions"]) => self.form(audio::transcriptions),
            ("POST", ["audio", "translations"]) => self.form(audio::translations),
            (_, ["files", rest @ ..]) => files::answer(request, dialect, rest),
            (_, ["batches", rest @ ..]) => batches::answer(request, dialect, rest),
            ("GET", ["models", rest @ ..]) => models::answer(dialect, rest),
            ("POST", ["video", "generations", "jobs"]) if dialect == Dialect::Azure => {
                self.json(|members, model| video::answer(request, members, model))
            }
            _ => return Err(dialect.not_found(request)),
        };
        Ok(match dialect {
            Dialect::Azure => answer?.with_header("apim-request-id", &request.id("")),
            Dialect::OpenAi => answer?.with_header("x-request-id", &request.id("req_")),
        })
    }

    /// An operation that takes a JSON object and names a model.
    fn json(
        &self,
        run: impl FnOnce(&Members, &str) -> Result<Answer, Refusal>,
    ) -> Result<Answer, Refusal> {
        let members = shape::object(&self.request.body)?;
        let model = match self.deployment {
            Some(deployment) => deployment,
            None => shape::required_string(&members, "model")?,
        };
        models::check(self.dialect, model)?;
        run(&members, model)
    }

    /// An operation that takes a form with a file and names a model.
    fn form(
        &self,
        run: impl FnOnce(&Form, &str) -> Result<Answer, Refusal>,
    ) -> Result<Answer, Refusal> {
        let form = form(self.request)?;
        let model = match self.deployment {
            Some(deployment) => deployment,
            None => form.text("model").ok_or_else(|| shape::missing("model"))?,
        };
        models::check(self.dialect, model)?;
        run(form, model)
    }
}

fn form(request: &Request) -> Result<&Form, Refusal> {
    let missing = || Refusal::invalid("body", "the request body is not multipart/form-data");
    request.form.as_ref().ok_or_else(missing)
}

/// An answer that costs nothing and concerns no model.
fn free(body: &Value) -> Answer {
    Answer::json("", Usage::default(), body)
}

/// A page that is the last one.
fn list(data: &[Value]) -> Value {
    let id = |object: Option<&Value>| object.and_then(|it| it.get("id")).cloned();
    json!({
        "object": "list", "data": data, "has_more": false,
        "first_id": id(data.first()), "last_id": id(data.last()),
    })
}

/// What was asked for is not there.
fn no_such(what: &str, id: &str) -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        format!("No such {what} object: {id}"),
    )
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
