use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};

use super::Api;
use super::access::{Access, Reach};
use super::etag;
use super::extract::Path;
use super::problem::Problem;
use super::user::Profile;
use crate::people::Person;
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
    access: Access,
    Path(id): Path<String>,
) -> Result<(HeaderMap, Json<Profile>), Problem> {
    let found = people::find_versioned(&api.0.store, &id).await?;
    let found = found.filter(|(person, _)| is_within(person, access.reach()));
    let (person, version) = found.ok_or_else(unknown)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, etag::of(version));
    Ok((headers, Json(Profile::new(&api, person).await?)))
}

/// Whether a person is in the caller's reach.
pub(super) fn is_within(person: &Person, reach: &Reach) -> bool {
    reach.covers(Some(person.department.as_str()), Some(person.id.as_str()))
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("the directory has no such person")
}
