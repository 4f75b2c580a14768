use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::Api;
use super::authentication::Administrator;
use super::extract::Path;
use super::problem::Problem;
use super::provisioning::{Job, PATIENCE, job_id};
use super::recording::recorded;
use crate::provisioning::jobs::{Deed, State as TaskState};
use crate::store::people;

/// Let a person try again who has mistyped too often
///
/// What the directory cannot unlock, it says so.
#[utoipa::path(
    post, path = "/v1/users/{userId}/unlock", operation_id = "unlockUser", tag = "users",
    security(("token" = [])), params(("userId" = String, Path, description = "The company's id of the person")),
    responses(
        (status = 204, description = "Done"),
        (status = 202, body = Job, description = "It is being done"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such person", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The directory refuses it", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    administrator: Administrator,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let (desk, writer) = (shared.desk()?, shared.recording()?);
    let person = people::find(&shared.store, &id).await?;
    let person = person.ok_or_else(|| Problem::not_found("the directory has no such person"))?;
    let mut author = administrator.author(now)?;
    let job = job_id(now)?;
    desk.order(Deed::Unlock, &person, job.clone(), &mut author)
        .await?;
    let ended = desk.ended(&job, PATIENCE).await?;
    recorded(writer).await?;
    match ended {
        Some(task) if task.state == TaskState::Failed => {
            Err(Problem::new(StatusCode::CONFLICT, task.note))
        }
        Some(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        None => {
            let job = Job::find(shared, &job).await?;
            Ok((StatusCode::ACCEPTED, Json(job)).into_response())
        }
    }
}
