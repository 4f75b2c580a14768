use axum::extract::State;
use axum::response::Response;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::provisioning::{self, Job};
use crate::provisioning::jobs::Deed;

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
    administrator: Access,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    provisioning::order(&api.0, &administrator, &id, Deed::Unlock).await
}
