use axum::Json;
use axum::extract::State;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::push::PushMessage;
use super::retry::{Words, retry};
use crate::push::outbox::{self, MESSAGES};

const WORDS: Words = Words {
    unknown: "there is no such message",
    sent: "it was taken",
};

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
    retry(shared, &access, &MESSAGES, &id, &WORDS).await?;
    let entry = outbox::find(&shared.store, &id).await?;
    let entry = entry.ok_or_else(|| Problem::not_found(WORDS.unknown))?;
    Ok(Json(PushMessage::new(entry)))
}
