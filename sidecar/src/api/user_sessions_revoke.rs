use axum::Json;
use axum::extract::State;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::provisioning::job_id;
use super::recording::recorded;
use super::users::User;
use crate::provisioning::desk::follow_up;
use crate::provisioning::jobs::Deed;
use crate::store::people;

/// Revoke a person's sessions
///
/// Every gateway refuses within a second whatever access token of this person was issued
/// before now; with a new token the person can call again. Whether the person gets one is
/// the identity provider's to say: revoke the refresh tokens there, too.
#[utoipa::path(
    post, path = "/v1/users/{userId}/sessions/revoke", operation_id = "revokeUserSessions", tag = "users",
    security(("token" = [])), params(("userId" = String, Path, description = "The company's id of the person")),
    responses(
        (status = 200, body = User),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such person", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    administrator: Access,
    Path(id): Path<String>,
) -> Result<Json<User>, Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let today = shared.calendar.day(now);
    let _turn = shared.hub.turn().await;
    let (writer, mut author) = (shared.recording()?, administrator.author(now)?);
    let follow = match (shared.desk.get(), people::find(&shared.store, &id).await?) {
        (Some(_), Some(person)) => {
            let job = job_id(now)?;
            Some(follow_up(Deed::RevokeSessions, &person, job, &author))
        }
        _ => None,
    };
    let person = people::revoke_sessions(&shared.store, &id, &mut author, follow.as_ref()).await?;
    let person = person.ok_or_else(|| Problem::not_found("the directory has no such person"))?;
    shared.hub.upsert_users(vec![person.to_link(today)]);
    if let Some(desk) = shared.desk.get() {
        desk.wake().notify_one();
    }
    recorded(writer).await?;
    Ok(Json(User::new(person, today)))
}
