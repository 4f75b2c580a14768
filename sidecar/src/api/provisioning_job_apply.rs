use axum::Json;
use axum::extract::State;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::provisioning::Job;
use super::recording::recorded;

/// Confirm a job that was planned
///
/// It is carried out in the background; the job says how far it is.
#[utoipa::path(
    post, path = "/v1/provisioning/jobs/{jobId}/apply", operation_id = "applyProvisioningJob", tag = "provisioning",
    security(("token" = [])), params(("jobId" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = Job),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It does not wait to be confirmed, or the directory was changed since and it would do something else now", body = Problem, content_type = "application/problem+json"),
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
    desk.confirm(&id, &mut author).await?;
    recorded(writer).await?;
    Job::find(shared, &id).await.map(Json)
}
