use axum::Json;
use axum::extract::State;

use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::provisioning::job_id;
use super::recording::recorded;
use super::users::User;
use super::{Api, Shared};
use crate::events::Author;
use crate::provisioning::desk::follow_up;
use crate::provisioning::jobs::{Deed, NewJob};
use crate::store::people;

/// Disable a person for the time being
///
/// Every gateway refuses the person within a second, whatever tokens are still valid. The account is
/// disabled as well, and its sessions revoked, as soon as the directory can be reached.
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
    administrator: Access,
    Path(id): Path<String>,
) -> Result<Json<User>, Problem> {
    suspend(&api, &administrator, &id, true).await.map(Json)
}

/// Stores it, tells the gateways, and has it on record when it returns.
pub(super) async fn suspend(
    api: &Api,
    administrator: &Access,
    id: &str,
    suspended: bool,
) -> Result<User, Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let today = shared.calendar.day(now);
    let _turn = shared.hub.turn().await;
    let (writer, mut author) = (shared.recording()?, administrator.author(now)?);
    let follow = follow(shared, id, suspended, &author).await?;
    let person =
        people::suspend(&shared.store, id, suspended, &mut author, follow.as_ref()).await?;
    let person = person.ok_or_else(|| Problem::not_found("the directory has no such person"))?;
    shared.hub.upsert_users(vec![person.to_link(today)]);
    if let Some(desk) = shared.desk.get() {
        desk.wake().notify_one();
    }
    recorded(writer).await?;
    Ok(User::new(person, today))
}

/// The job that does the same to the account, until it is done.
async fn follow(
    shared: &Shared,
    id: &str,
    suspended: bool,
    author: &Author,
) -> Result<Option<NewJob>, Problem> {
    let person = people::find(&shared.store, id).await?;
    let (Some(_), Some(person)) = (shared.desk.get(), person) else {
        return Ok(None);
    };
    let deed = if suspended {
        Deed::Disable
    } else {
        Deed::Enable
    };
    let job = job_id(author.at())?;
    Ok(Some(follow_up(deed, &person, job, author)))
}
