use axum::Json;
use axum::extract::State;

use super::Api;
use super::authentication::Administrator;
use super::extract::Path;
use super::problem::Problem;
use super::recording::recorded;
use super::users::User;
use crate::store::people;

/// Disable a person for the time being
///
/// Every gateway refuses the person within a second, whatever tokens are still valid.
#[utoipa::path(
    put, path = "/v1/users/{userId}/disable", operation_id = "disableUser", tag = "users",
    security(("token" = [])), params(("userId" = String, Path, description = "The company's id of the person")),
    responses(
        (status = 200, body = User),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such person", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    administrator: Administrator,
    Path(id): Path<String>,
) -> Result<Json<User>, Problem> {
    suspend(&api, &administrator, &id, true).await.map(Json)
}

/// Stores it, tells the gateways, and has it on record when it returns.
pub(super) async fn suspend(
    api: &Api,
    administrator: &Administrator,
    id: &str,
    suspended: bool,
) -> Result<User, Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let today = shared.calendar.day(now);
    let _turn = shared.hub.turn().await;
    let (writer, mut author) = (shared.recording()?, administrator.author(now)?);
    let person = people::suspend(&shared.store, id, suspended, &mut author).await?;
    let person = person.ok_or_else(|| Problem::not_found("the directory has no such person"))?;
    shared.hub.upsert_users(vec![person.to_link(today)]);
    recorded(writer).await?;
    Ok(User::new(person, today))
}
