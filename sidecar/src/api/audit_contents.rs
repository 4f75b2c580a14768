use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sekisho_domain::policy::Contents;
use sekisho_domain::{Cut, RecordId};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::problem::Problem;
use crate::contents::read::{self, Unreadable};

/// What was kept of a call's bodies.
#[derive(Serialize, ToSchema)]
pub(super) struct Kept {
    /// The call.
    record_id: String,
    /// In which form: `redacted` or `full`; absent: the gateway fell silent before it said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "redacted")]
    contents: Option<&'static str>,
    /// Who pays for the call.
    department: String,
    /// The request; absent: it had no body.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Body>,
    /// The answer; absent: it had no body.
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Body>,
}

/// What was kept of one body.
#[derive(Serialize, ToSchema)]
struct Body {
    /// How many bytes.
    bytes: usize,
    /// Why that is not all of it: `limit`, `memory`, `form` or `coding`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "limit")]
    cut: Option<&'static str>,
    /// As text, if it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Otherwise in Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

/// Read what was kept of a call's bodies
///
/// For auditors alone. That somebody has read it is on record, as an event `contents.read`, before
/// this answers.
#[utoipa::path(
    get, path = "/v1/audit/logs/{recordId}/contents", operation_id = "readContents", tag = "audit",
    security(("token" = [])),
    params(("recordId" = String, Path, description = "The call: `record_id` of its records, or `x-sekisho-record` of its answer")),
    responses(
        (status = 200, body = Kept),
        (status = 400, description = "No record id", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role `Sekisho.Auditor` is missing; `Sekisho.Administrator` is not enough", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such call, or nothing was kept of it", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The call has not ended", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "Its key was destroyed, by `sekisho audit shred` or because its time was over", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "It is lost or was changed", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "This sidecar stands by, and cannot put the reading on record", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    reader: Access,
    Path(record_id): Path<String>,
) -> Result<Response, Problem> {
    let id = RecordId::parse(&record_id);
    let id = id.ok_or_else(|| Problem::bad_request("the record id must be a UUID"))?;
    let shared = &api.0;
    let writer = shared.recording()?;
    let key = shared.contents_key.get().ok_or_else(no_key)?;
    let kept = read::read(&shared.store, key, id).await?;
    let contents = kept.contents.map(Contents::as_str);
    let mut author = reader.author(shared.clock.now())?;
    let told = author.tell("contents.read", &id.to_string());
    let told = told.after(Some(json!({
        "department": kept.department, "contents": contents,
    })));
    if let Err(error) = writer.record(told).await {
        tracing::error!(error = &error as &dyn std::error::Error, "an event is lost");
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the reading could not be put on record, so nothing is shown",
        ));
    }
    let answer = Kept {
        record_id: id.to_string(),
        contents,
        department: kept.department,
        request: kept.request.map(Body::from),
        response: kept.response.map(Body::from),
    };
    let headers = [(header::CACHE_CONTROL, "no-store")];
    Ok((headers, Json(answer)).into_response())
}

fn no_key() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "this sidecar has no key to kept bodies",
    )
}

impl From<read::Body> for Body {
    fn from(body: read::Body) -> Self {
        let (bytes, cut) = (body.bytes.len(), body.cut.map(Cut::as_str));
        let (text, base64) = match String::from_utf8(body.bytes) {
            Ok(text) => (Some(text), None),
            // A text that was cut within a letter is one all the same.
            Err(error) if cut.is_some() && is_cut_text(&error) => {
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                (Some(text), None)
            }
            Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
        };
        Self {
            bytes,
            cut,
            text,
            base64,
        }
    }
}

fn is_cut_text(error: &std::string::FromUtf8Error) -> bool {
    error.utf8_error().error_len().is_none()
}

impl From<Unreadable> for Problem {
    fn from(error: Unreadable) -> Self {
        let status = match &error {
            Unreadable::Unknown | Unreadable::NothingKept => StatusCode::NOT_FOUND,
            Unreadable::Open => StatusCode::CONFLICT,
            Unreadable::Shredded | Unreadable::Expired => StatusCode::GONE,
            Unreadable::Lost => StatusCode::INTERNAL_SERVER_ERROR,
            Unreadable::Store(error) => return Self::internal(error),
        };
        Self::new(status, error.to_string())
    }
}
