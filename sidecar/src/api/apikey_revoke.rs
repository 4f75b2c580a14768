use axum::Json;
use axum::extract::State;

use super::Api;
use super::apikey_issue::Key;
use super::authentication::Administrator;
use super::extract::Path;
use super::problem::Problem;
use crate::store::keys;

/// Revoke a subscription key
///
/// Every gateway refuses it within a second. Revoking it again changes nothing.
#[utoipa::path(
    put, path = "/v1/apikeys/{apiKey}/revoke", operation_id = "revokeApiKey", tag = "apikeys",
    security(("token" = [])), params(("apiKey" = String, Path, description = "Public id of the key, never its secret")),
    responses(
        (status = 200, body = Key),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such key", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    administrator: Administrator,
    Path(id): Path<String>,
) -> Result<Json<Key>, Problem> {
    let shared = &api.0;
    let revoked = keys::revoke(&shared.store, &id, shared.clock.now()).await?;
    let revoked = revoked.ok_or_else(|| Problem::not_found("there is no such key"))?;
    shared.hub.upsert_keys(vec![revoked.to_link()]);
    // Only now: what is not the id of a key may be the secret of one.
    administrator.has_done("revoke_key", &id);
    Ok(Json(revoked.into()))
}
