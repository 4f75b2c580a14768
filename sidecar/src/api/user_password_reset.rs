use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::provisioning::{self, Job};
use crate::provisioning::jobs::Deed;

/// Send a person a new password
///
/// By mail, and nowhere else; it must be changed at the next sign-in.
#[utoipa::path(
    post, path = "/v1/users/{userId}/password/reset", operation_id = "resetUserPassword", tag = "users",
    security(("token" = [])), params(("userId" = String, Path, description = "The company's id of the person")),
    responses(
        (status = 204, description = "Done"),
        (status = 202, body = Job, description = "It is being done"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such person", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The password cannot be told by mail, or the directory refuses it", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    administrator: Access,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    if !api.0.desk()?.has_mail() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "people are sent no mail (the policy has no section `mail`), by which the password could be told",
        ));
    }
    provisioning::order(&api.0, &administrator, &id, Deed::ResetPassword).await
}
