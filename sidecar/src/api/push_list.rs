use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::extract::Query;
use super::page;
use super::problem::Problem;
use super::push::{PushMessage, PushState};
use crate::push::outbox;

/// Which messages. Whatever is not said does not restrict.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Of which this became: `refused`, `given_up` and `gone` are those that did not arrive.
    state: Option<PushState>,
    /// Most messages of the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of messages, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PushPage {
    messages: Vec<PushMessage>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Pushed messages of the last 90 days and what became of them
///
/// Without what they say besides their titles.
#[utoipa::path(
    get, path = "/v1/notifications/push", operation_id = "listPushes", tag = "notifications",
    security(("token" = [])), params(Which),
    responses(
        (status = 200, body = PushPage),
        (status = 400, description = "A filter is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    Query(which): Query<Which>,
) -> Result<Json<PushPage>, Problem> {
    let limit = page::limit(which.limit)?;
    let state = which.state.map(PushState::stored);
    let before = which.cursor.as_deref();
    let found = outbox::list(&api.0.store, state, before, limit + 1).await?;
    let (found, next) = page::cut(found, limit, |entry| entry.id.clone());
    let messages = found.into_iter().map(PushMessage::new).collect();
    Ok(Json(PushPage { messages, next }))
}
