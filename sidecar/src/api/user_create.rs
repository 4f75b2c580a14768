use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::Api;
use super::access::Access;
use super::extract::Json as Body;
use super::problem::Problem;
use super::provisioning::{Job, PATIENCE, job_id};
use super::recording::recorded;
use super::user::{NewUser, Profile};
use crate::provisioning::jobs::State as TaskState;
use crate::store::people;

/// Add a person and make the account
///
/// Answers when the account is there; if that takes long, with the job that goes on making it.
#[utoipa::path(
    post, path = "/v1/users", operation_id = "createUser", tag = "users",
    security(("token" = [])), request_body = NewUser,
    responses(
        (status = 201, body = Profile, headers(("Location" = String, description = "The person"))),
        (status = 202, body = Job, description = "The account is being made"),
        (status = 400, description = "The body is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is a person of this id, or the directory refuses the account", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Values are wrong: `errors` lists them", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    administrator: Access,
    Body(new): Body<NewUser>,
) -> Result<Response, Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let (desk, writer) = (shared.desk()?, shared.recording()?);
    let mut author = administrator.author(now)?;
    let job = job_id(now)?;
    let id = new.id.clone();
    let values = new.values();
    desk.create(&values, job.clone(), &mut author).await?;
    let ended = desk.ended(&job, PATIENCE).await?;
    recorded(writer).await?;
    match ended {
        Some(task) if task.state == TaskState::Failed => {
            Err(Problem::new(StatusCode::CONFLICT, task.note))
        }
        _ => match people::find(&shared.store, &id).await? {
            Some(person) => {
                let profile = Profile::new(&api, person).await?;
                let location = HeaderValue::try_from(format!("/v1/users/{id}"));
                let mut response = (StatusCode::CREATED, Json(profile)).into_response();
                if let Ok(location) = location {
                    response.headers_mut().insert(header::LOCATION, location);
                }
                Ok(response)
            }
            None => {
                let job = Job::find(shared, &job).await?;
                Ok((StatusCode::ACCEPTED, Json(job)).into_response())
            }
        },
    }
}
