use axum::Json;
use axum::extract::State;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::provisioning::Job;

/// A job: its plan and how far it is
#[utoipa::path(
    get, path = "/v1/provisioning/jobs/{jobId}", operation_id = "getProvisioningJob", tag = "provisioning",
    security(("token" = [])), params(("jobId" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = Job),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such job", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    Job::find(&api.0, &id).await.map(Json)
}
