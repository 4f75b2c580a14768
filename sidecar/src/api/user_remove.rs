use axum::extract::State;
use axum::response::Response;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::provisioning::{self, Job};
use crate::provisioning::jobs::Deed;

/// Delete a person and the account
///
/// The gateways refuse the person from then on, whatever tokens are still valid. The log keeps what it has.
#[utoipa::path(
    delete, path = "/v1/users/{userId}", operation_id = "deleteUser", tag = "users",
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
pub(super) async fn delete(
    State(api): State<Api>,
    administrator: Access,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    provisioning::order(&api.0, &administrator, &id, Deed::Delete).await
}
