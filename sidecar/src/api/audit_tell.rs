use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use sekisho_domain::event::OWN_SOURCE;
use sekisho_domain::{AuditRecord, Event, EventOutcome, RecordId, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::extract::Json;
use super::idempotency::{self, IdempotencyKey};
use super::moments::{moment, shown};
use super::problem::Problem;
use crate::events::{
    MOST_DEPTH, MOST_DETAIL, MOST_NAME, MOST_STATE, MOST_TARGET, Telling, is_shallow,
};
use crate::log::search::{self, Filter};
use crate::writer::Recording;

/// What happened in another system.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEvent {
    /// The system that tells it: 1 to 64 lower-case letters, digits, `_` and `-`, in parts
    /// between points; not `sekisho`.
    #[schema(example = "provisioning")]
    source: String,
    /// What happened, as `source`.
    #[schema(example = "account.created")]
    name: String,
    /// To whom or what, at most 256 bytes.
    #[schema(example = "001")]
    target: Option<String>,
    /// When (RFC 3339), if not now.
    #[schema(example = "2024-10-01T09:00:00Z")]
    occurred_at: Option<String>,
    /// How it was before, at most 16 KiB of JSON. Nothing secret: the log forgets nothing.
    #[schema(value_type = Option<Object>)]
    before: Option<Map<String, Value>>,
    /// How it is from then on, at most 16 KiB of JSON. Nothing secret.
    #[schema(value_type = Option<Object>)]
    after: Option<Map<String, Value>>,
    /// How it ended; default: `success`.
    outcome: Option<Outcome>,
    /// More about it, for people: at most 1024 bytes.
    detail: Option<String>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// It was done.
    Success,
    /// It was not.
    Failure,
    /// Nobody knows.
    Unknown,
}

/// Where the event is in the log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Told {
    /// The id of its record.
    record_id: String,
    /// When it was recorded.
    recorded_at: String,
}

/// Put an event of another system on record
///
/// It is durable, and a leaf of the log's tree, when this answers. Who tells it is on record,
/// too. Whoever may have to tell it again tells it with an `Idempotency-Key`: then it is in
/// the log once, for good.
#[utoipa::path(
    post, path = "/v1/audit/logs", operation_id = "recordEvent", tag = "audit",
    security(("token" = [])), request_body = NewEvent,
    params(("Idempotency-Key" = Option<String>, Header, description = "Any text of the caller's that no other event has")),
    responses(
        (status = 201, body = Told),
        (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Neither the role `Sekisho.Recorder` nor `Sekisho.Administrator`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is larger than 64 KiB", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is no event, or the `Idempotency-Key` is of another one", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "This sidecar stands by, or has just ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    recorder: Access,
    idempotency_key: IdempotencyKey,
    Json(wanted): Json<NewEvent>,
) -> Result<Response, Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let writer = shared.recording()?;
    let mut author = recorder.author(now)?;
    let name = idempotency_key.name(author.identity());
    let occurred = wanted.occurred_at.as_deref();
    let occurred = moment("occurred_at", occurred, false, &shared.calendar)?;
    let mut told = author.tell(wanted.name.clone(), "");
    if let Some(name) = &name {
        told = told.under(name.record_id(&shared.pepper));
    }
    let told = describe(told, wanted, occurred)?;
    let id = told.id();
    let event = told.event().clone();
    match writer.record(told).await {
        Ok(Recording::New) => Ok(answer(id, now)),
        Ok(Recording::Known) => known(&api, id, &event).await,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an event is lost");
            Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "nobody knows whether it is on record: tell it again with the same `Idempotency-Key`",
            ))
        }
    }
}

fn answer(id: RecordId, at: UnixMillis) -> Response {
    let told = Told {
        record_id: id.to_string(),
        recorded_at: shown(at),
    };
    (StatusCode::CREATED, axum::Json(told)).into_response()
}

/// The event of that id, if it is this one.
async fn known(api: &Api, id: RecordId, event: &Event<'_>) -> Result<Response, Problem> {
    let filter = Filter {
        record_id: Some(id),
        ..Filter::default()
    };
    let page = search::search(&api.0.store, &filter, None, 1).await?;
    let found = page.records.first();
    let record =
        found.and_then(|found| serde_json::from_slice::<AuditRecord<'_>>(&found.body).ok());
    match record {
        Some(record) if record.event.as_deref() == Some(event) => Ok(answer(id, record.at)),
        _ => Err(idempotency::reused_for_good()),
    }
}

/// All that is wrong with it at once, or the event.
fn describe(
    told: Telling,
    wanted: NewEvent,
    occurred: Option<UnixMillis>,
) -> Result<Telling, Problem> {
    let mut wrong = Vec::new();
    for (member, word) in [("source", &wanted.source), ("name", &wanted.name)] {
        if !is_name(word) {
            wrong.push(format!(
                "`{member}` must be 1 to {MOST_NAME} lower-case letters, digits, `_` and `-`, in parts between points"
            ));
        }
    }
    if wanted.source.split('.').next() == Some(OWN_SOURCE) {
        wrong.push(format!(
            "`source` must not be `{OWN_SOURCE}`: nobody else tells in its name"
        ));
    }
    for (member, text, most) in [
        ("target", &wanted.target, MOST_TARGET),
        ("detail", &wanted.detail, MOST_DETAIL),
    ] {
        let is_wrong =
            |text: &String| text.is_empty() || text.len() > most || text.contains(char::is_control);
        if text.as_ref().is_some_and(is_wrong) {
            wrong.push(format!(
                "`{member}` must be 1 to {most} bytes without control characters"
            ));
        }
    }
    let states = [("before", wanted.before), ("after", wanted.after)];
    let [before, after] = states.map(|(member, state)| {
        let state = state.map(Value::Object);
        let is_large = |state: &Value| {
            state.to_string().len() > MOST_STATE || !is_shallow(state, MOST_DEPTH)
        };
        if state.as_ref().is_some_and(is_large) {
            wrong.push(format!(
                "`{member}` must be at most {MOST_STATE} bytes of JSON, nested at most {MOST_DEPTH} deep"
            ));
        }
        state
    });
    if !wrong.is_empty() {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            wrong.join("; "),
        ));
    }
    let told = told.from(&wanted.source, occurred).before(before);
    let mut told = told.after(after).outcome(match wanted.outcome {
        None | Some(Outcome::Success) => EventOutcome::Success,
        Some(Outcome::Failure) => EventOutcome::Failure,
        Some(Outcome::Unknown) => EventOutcome::Unknown,
    });
    if let Some(target) = wanted.target {
        told = told.about(&target);
    }
    if let Some(detail) = wanted.detail {
        told = told.detail(&detail);
    }
    Ok(told)
}

fn is_name(text: &str) -> bool {
    let is_letter =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let is_part = |part: &str| !part.is_empty() && part.chars().all(is_letter);
    text.len() <= MOST_NAME && text.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_words_between_points() {
        for (text, is) in [
            ("account.created", true),
            ("a-b_c.9", true),
            ("", false),
            (".a", false),
            ("a..b", false),
            ("A", false),
            ("a b", false),
            ("＝a", false),
        ] {
            assert_eq!(is_name(text), is, "{text}");
        }
        assert!(is_name(&"a".repeat(64)) && !is_name(&"a".repeat(65)));
    }
}
