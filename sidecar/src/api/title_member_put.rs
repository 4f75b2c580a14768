use axum::Json;
use axum::extract::State;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::units::{assign, find};
use super::users::User;
use crate::store::units::Kind;

/// Give a person a title
///
/// In the place of the one that he or she has; the account follows.
#[utoipa::path(
    put, path = "/v1/titles/{titleId}/members/{userId}", operation_id = "putTitleMember", tag = "titles",
    security(("token" = [])),
    params(
        ("titleId" = String, Path, description = "Code of the title"),
        ("userId" = String, Path, description = "The company's id of the person"),
    ),
    responses(
        (status = 200, body = User),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such title or person", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "This sidecar stands by, or has just ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    access: Access,
    Path((id, user)): Path<(String, String)>,
) -> Result<Json<User>, Problem> {
    let unit = find(&api, Kind::Title, &id).await?;
    assign(&api, &access, &user, |person| {
        person.job_title = unit.name().to_owned();
    })
    .await
}
