use axum::extract::State;
use axum::response::Response;

use super::Api;
use super::access::Access;
use super::apikey::{self, Key};
use super::extract::Path;
use super::problem::Problem;
use crate::store::keys;

/// One subscription key, without its secret
#[utoipa::path(
    get, path = "/v1/apikeys/{apiKey}", operation_id = "getApiKey", tag = "apikeys",
    security(("token" = [])), params(("apiKey" = String, Path, description = "Public id of the key, never its secret")),
    responses(
        (status = 200, body = Key, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such key", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let shared = &api.0;
    let key = keys::find(&shared.store, &id).await?;
    let key = key.filter(|key| apikey::is_within(key, access.reach()));
    let key = key.ok_or_else(apikey::unknown)?;
    Ok(apikey::answer(key, shared.clock.now()))
}
