use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::problem::Problem;
use super::push_subscription::{PushSubscription, owner};
use crate::push::subscriptions;

/// The caller's browsers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PushSubscriptions {
    subscriptions: Vec<PushSubscription>,
}

/// One's browsers that are sent messages
#[utoipa::path(
    get, path = "/v1/users/me/push-subscriptions", operation_id = "listPushSubscriptions", tag = "notifications",
    security(("token" = [])),
    responses(
        (status = 200, body = PushSubscriptions),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller is nobody of the directory", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
) -> Result<Json<PushSubscriptions>, Problem> {
    let found = subscriptions::of(&api.0.store, owner(&access)?).await?;
    let subscriptions = found.iter().map(PushSubscription::new).collect();
    Ok(Json(PushSubscriptions { subscriptions }))
}
