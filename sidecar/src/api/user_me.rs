use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};

use super::Api;
use super::access::Access;
use super::etag;
use super::problem::Problem;
use super::user::Profile;
use crate::store::people;

/// Whoever asks, as the directory has him or her
#[utoipa::path(
    get, path = "/v1/users/me", operation_id = "getMe", tag = "users", security(("token" = [])),
    responses(
        (status = 200, body = Profile, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller is not in the directory", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The caller has just been removed from the directory", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
) -> Result<(HeaderMap, Json<Profile>), Problem> {
    let gone = || Problem::not_found("the directory does not have you any longer");
    let id = access.person().ok_or_else(gone)?;
    let found = people::find_versioned(&api.0.store, id.as_str()).await?;
    let (person, version) = found.ok_or_else(gone)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, etag::of(version));
    Ok((headers, Json(Profile::new(&api, person).await?)))
}
