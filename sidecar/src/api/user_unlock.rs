use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::provisioning::{self, Job};
use crate::provisioning::jobs::Deed;
use crate::store::people;

/// Why nobody is unlocked in Entra ID, and what to do instead.
const LOCKED_IN_ENTRA: &str = "no call of Entra ID lifts a lock: smart lockout ends by itself, \
    after a minute at first; a new password (POST /v1/users/{userId}/password/reset) lets the person \
    in at once. A block because of risk is for a security administrator of the tenant to dismiss";

/// Let a person try again who has mistyped too often
///
/// In Entra ID nothing lifts a lock but a new password: there the answer is 409, says so, and orders
/// nothing.
#[utoipa::path(
    post, path = "/v1/users/{userId}/unlock", operation_id = "unlockUser", tag = "users",
    security(("token" = [])), params(("userId" = String, Path, description = "The company's id of the person")),
    responses(
        (status = 204, description = "Done"),
        (status = 202, body = Job, description = "It is being done"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such person", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The directory cannot do that; `detail` says what to do instead", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    administrator: Access,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let shared = &api.0;
    if shared.entra.get().is_some() {
        let person = people::find(&shared.store, &id).await?;
        person.ok_or_else(|| Problem::not_found("the directory has no such person"))?;
        return Err(Problem::new(StatusCode::CONFLICT, LOCKED_IN_ENTRA));
    }
    provisioning::order(shared, &administrator, &id, Deed::Unlock).await
}
