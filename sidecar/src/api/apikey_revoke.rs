use axum::extract::State;
use axum::response::Response;

use super::Api;
use super::access::Access;
use super::apikey::{self, Key};
use super::extract::Path;
use super::problem::Problem;
use super::recording::recorded;
use crate::store::keys;

/// Revoke a subscription key
///
/// Every gateway refuses it within a second, a former secret too. Revoking it again changes
/// nothing, and no condition can keep anybody from it.
#[utoipa::path(
    put, path = "/v1/apikeys/{apiKey}/revoke", operation_id = "revokeApiKey", tag = "apikeys",
    security(("token" = [])), params(("apiKey" = String, Path, description = "Public id of the key, never its secret")),
    responses(
        (status = 200, body = Key, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such key", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let _turn = shared.hub.turn().await;
    let (writer, mut author) = (shared.recording()?, access.author(now)?);
    let known = keys::find(&shared.store, &id).await?;
    if !known.is_some_and(|key| apikey::is_within(&key, access.reach())) {
        return Err(apikey::unknown());
    }
    let revoked = keys::revoke(&shared.store, &id, &mut author).await?;
    let revoked = revoked.ok_or_else(apikey::unknown)?;
    shared.hub.upsert_keys(vec![revoked.to_link()]);
    recorded(writer).await?;
    Ok(apikey::answer(revoked, now))
}
