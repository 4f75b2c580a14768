use axum::Json;
use axum::extract::State;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::provisioning::Job;
use super::recording::recorded;
use axum::http::StatusCode;

/// Cancel what of a job has not begun
///
/// What has begun goes on to its end, so that nobody is left with half an account.
#[utoipa::path(
    post, path = "/v1/provisioning/jobs/{jobId}/cancel", operation_id = "cancelProvisioningJob", tag = "provisioning",
    security(("token" = [])), params(("jobId" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = Job),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    administrator: Access,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    let shared = &api.0;
    let (desk, writer) = (shared.desk()?, shared.recording()?);
    Job::find(shared, &id).await?;
    let mut author = administrator.author(shared.clock.now())?;
    if !desk.cancel(&id, &mut author).await? {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "the job has ended: there is nothing to cancel",
        ));
    }
    recorded(writer).await?;
    Job::find(shared, &id).await.map(Json)
}
