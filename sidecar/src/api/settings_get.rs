use axum::extract::State;
use axum::response::Response;

use super::Api;
use super::access::Access;
use super::problem::Problem;
use super::settings::{SystemSettings, answer};
use crate::store::settings;

/// What can be changed while the sidecar runs
///
/// What is set, what is in force, and who says so.
#[utoipa::path(
    get, path = "/v1/system/settings", operation_id = "getSettings", tag = "system",
    security(("token" = [])),
    responses(
        (status = 200, body = SystemSettings, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(State(api): State<Api>, _access: Access) -> Result<Response, Problem> {
    let stored = settings::newest(&api.0.store).await?;
    Ok(answer(&api, stored))
}
