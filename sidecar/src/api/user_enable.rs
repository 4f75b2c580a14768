use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::user_disable::suspend;
use super::users::User;
use crate::store::people;

/// Let a disabled person in again
///
/// Lifts what `disable` did. Who is inactive by the directory itself (status, first or last
/// day) stays so: an import changes that.
#[utoipa::path(
    put, path = "/v1/users/{userId}/enable", operation_id = "enableUser", tag = "users",
    security(("token" = [])), params(("userId" = String, Path, description = "The company's id of the person")),
    responses(
        (status = 200, body = User),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such person", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The person is inactive by the directory itself", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    administrator: Access,
    Path(id): Path<String>,
) -> Result<Json<User>, Problem> {
    let today = api.0.calendar.day(api.0.clock.now());
    if let Some(mut person) = people::find(&api.0.store, &id).await? {
        person.suspended = false;
        if !person.active_on(today) {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "this person is inactive by status, first or last day in the directory; an import changes that",
            ));
        }
    }
    suspend(&api, &administrator, &id, false).await.map(Json)
}
