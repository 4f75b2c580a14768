use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};

use super::Api;
use super::authentication::Auditor;
use super::etag;
use super::extract::Path;
use super::problem::Problem;
use super::user::Profile;
use crate::store::people;

/// One person, with the account
#[utoipa::path(
    get, path = "/v1/users/{userId}", operation_id = "getUser", tag = "users",
    security(("token" = [])), params(("userId" = String, Path, description = "The company's id of the person")),
    responses(
        (status = 200, body = Profile, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such person", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Auditor,
    Path(id): Path<String>,
) -> Result<(HeaderMap, Json<Profile>), Problem> {
    let found = people::find_versioned(&api.0.store, &id).await?;
    let (person, version) =
        found.ok_or_else(|| Problem::not_found("the directory has no such person"))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, etag::of(version));
    Ok((headers, Json(Profile::new(&api, person).await?)))
}
