use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::push_subscription::owner;
use super::recording::recorded;
use crate::push::subscriptions;

/// Have no more messages sent to a browser of one's own
#[utoipa::path(
    delete, path = "/v1/users/me/push-subscriptions/{subscriptionId}", operation_id = "removePushSubscription", tag = "notifications",
    security(("token" = [])), params(("subscriptionId" = String, Path, description = "Id of the subscription")),
    responses(
        (status = 204, description = "It is forgotten"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller is nobody of the directory", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The caller has no such browser", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let shared = &api.0;
    let writer = shared.recording()?;
    let mut author = access.author(shared.clock.now())?;
    let person = owner(&access)?;
    let why = "its owner has taken it away";
    let removed = subscriptions::remove(&shared.store, person, &id, why, &mut author).await?;
    if !removed {
        return Err(Problem::not_found("you have no such browser"));
    }
    recorded(writer).await?;
    Ok(StatusCode::NO_CONTENT)
}
