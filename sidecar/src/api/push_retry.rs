use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::push::PushMessage;
use super::recording::recorded;
use crate::push::outbox::{self, Again};
use crate::store::{StoreError, pending};

/// Try a pushed message again, now
///
/// One that waits, or that was refused or given up within the last seven days; for as long as it was
/// to be tried at first.
#[utoipa::path(
    post, path = "/v1/notifications/push/{pushId}/retry", operation_id = "retryPush", tag = "notifications",
    security(("token" = [])), params(("pushId" = String, Path, description = "The message's id")),
    responses(
        (status = 200, body = PushMessage),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such message", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was taken, its browser is gone, or what it said is not known any more", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<PushMessage>, Problem> {
    let shared = &api.0;
    let writer = shared.recording()?;
    let now = shared.clock.now();
    let mut author = access.author(now)?;
    let unknown = || Problem::not_found("there is no such message");
    let mut transaction = shared.store.begin_writing().await?;
    let refusal = match outbox::again(&mut transaction, &id, now).await? {
        Again::Waits => None,
        Again::Unknown => return Err(unknown()),
        Again::Sent => Some("it was taken"),
        Again::Gone => Some("the browser that it was for is gone"),
        Again::Forgotten => Some("what it said is not known any more: write another one"),
    };
    if let Some(refusal) = refusal {
        return Err(Problem::new(StatusCode::CONFLICT, refusal));
    }
    pending::leave(&mut transaction, author.tell("notification.retry", &id)).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    recorded(writer).await?;
    let entry = outbox::find(&shared.store, &id).await?;
    Ok(Json(PushMessage::new(entry.ok_or_else(unknown)?)))
}
