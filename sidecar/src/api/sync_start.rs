use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Api;
use super::access::Access;
use super::extract::OptionalJson;
use super::problem::Problem;
use super::sync_status::{SyncStatus, WhoseWord};
use crate::entra::sync::Direction;

/// What to begin. Left out: to look, and correct nothing.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// In which direction to correct what the plan shows.
    apply: Option<WhoseWord>,
    /// The plan that was looked at: `plan` of the last status. Needed with `apply`.
    plan: Option<String>,
}

/// Compare directory and Entra ID, or correct what was shown
///
/// Goes on after it is answered; `GET /v1/azuread/sync/status` tells how it stands. What has
/// changed since it was shown is left as it is. `from_entra` lets nobody in whom the directory
/// keeps out, and disables whose account is gone.
#[utoipa::path(
    post, path = "/v1/azuread/sync/start", operation_id = "startSync", tag = "azuread",
    security(("token" = [])), request_body = Option<Wanted>,
    responses(
        (status = 202, description = "It has begun", body = SyncStatus),
        (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "One is under way, or the plan is not the newest, or the embedded directory has the accounts", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`plan` and `apply` go together", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "This sidecar stands by", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    administrator: Access,
    OptionalJson(wanted): OptionalJson<Wanted>,
) -> Result<(StatusCode, Json<SyncStatus>), Problem> {
    let shared = &api.0;
    let sync = shared.sync()?;
    let writer = shared.recording()?;
    let mut author = administrator.author(shared.clock.now())?;
    let begun = match (wanted.apply, wanted.plan) {
        (None, None) => {
            let told = author.tell("directory.compare", sync.tenant());
            record(writer, told).await?;
            sync.plan(plan_id()?)
        }
        (Some(direction), Some(plan)) => {
            let (direction, word) = match direction {
                WhoseWord::ToEntra => (Direction::ToEntra, "to_entra"),
                WhoseWord::FromEntra => (Direction::FromEntra, "from_entra"),
            };
            let told = author.tell("directory.correct", sync.tenant());
            let state = serde_json::json!({"apply": word, "plan": plan});
            record(writer, told.after(Some(state))).await?;
            sync.apply(&plan, direction, writer.clone(), author)
        }
        _ => {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "`apply` needs the `plan` whose differences it corrects, and `plan` says nothing without `apply`",
            ));
        }
    };
    let report = begun.map_err(|error| Problem::new(StatusCode::CONFLICT, error.to_string()))?;
    let status = Json(SyncStatus::new(Some(report)));
    Ok((StatusCode::ACCEPTED, status))
}

async fn record(
    writer: &crate::writer::Writer,
    told: crate::events::Telling,
) -> Result<(), Problem> {
    let recorded = writer.record(told).await;
    recorded.map(|_| ()).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "an event is lost");
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "it cannot be put on record just now: try again",
        )
    })
}

fn plan_id() -> Result<String, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the machine has no random bytes",
        )
    })?;
    Ok(Uuid::from_bytes(bytes).to_string())
}
