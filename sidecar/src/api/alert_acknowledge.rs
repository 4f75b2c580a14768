use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::alert::{Alert, Showing, unknown};
use super::extract::{OptionalJson, Path};
use super::problem::Problem;
use super::recording::recorded;
use crate::store::alerts;

/// Longest note, bytes.
const MOST_NOTE: usize = 1000;

/// What there is to say about the alert.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertNote {
    /// At most 1000 bytes. It stays in the audit log for ever.
    #[serde(default)]
    #[schema(example = "A test of the new batch, agreed with sales")]
    note: String,
}

/// Take note of an alert
///
/// Whoever did so first stays: doing it again changes nothing.
#[utoipa::path(
    put, path = "/v1/alerts/{alertId}/acknowledge", operation_id = "acknowledgeAlert", tag = "alerts",
    security(("token" = [])), params(("alertId" = String, Path, description = "Id of the alert")),
    request_body = Option<AlertNote>,
    responses(
        (status = 200, body = Alert),
        (status = 400, description = "The note is too long", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such alert", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "This sidecar stands by, or has just ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    administrator: Access,
    headers: HeaderMap,
    Path(id): Path<String>,
    OptionalJson(note): OptionalJson<AlertNote>,
) -> Result<Json<Alert>, Problem> {
    if note.note.len() > MOST_NOTE {
        return Err(Problem::bad_request(format!(
            "`note` has more than {MOST_NOTE} bytes"
        )));
    }
    let shared = &api.0;
    let writer = shared.recording()?;
    let mut author = administrator.author(shared.clock.now())?;
    let found = alerts::acknowledge(&shared.store, &id, &note.note, &mut author).await?;
    let found = found.ok_or_else(unknown)?;
    recorded(writer).await?;
    Ok(Json(Showing::new(&api, &headers).alert(found)))
}
