use axum::Json;
use axum::extract::State;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::units::{assign, find};
use super::users::User;
use crate::store::units::Kind;

/// Take a title from a person
///
/// Whoever has another one keeps it; the account follows.
#[utoipa::path(
    delete, path = "/v1/titles/{titleId}/members/{userId}", operation_id = "removeTitleMember", tag = "titles",
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
pub(super) async fn delete(
    State(api): State<Api>,
    access: Access,
    Path((id, user)): Path<(String, String)>,
) -> Result<Json<User>, Problem> {
    let unit = find(&api, Kind::Title, &id).await?;
    assign(&api, &access, &user, |person| {
        if person.job_title == unit.id || person.job_title == unit.name() {
            person.job_title.clear();
        }
    })
    .await
}
