use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::access::Access;
use super::email::Email;
use super::extract::Path;
use super::problem::Problem;
use super::recording::recorded;
use crate::mail::outbox::{self, Again};
use crate::store::{StoreError, pending};

/// Try a mail again, now
///
/// One that waits, or that was refused or given up within the last seven days. What must not be
/// stored (a notice with a password) is tried again by the job that it belongs to.
#[utoipa::path(
    post, path = "/v1/notifications/email/{mailId}/retry", operation_id = "retryEmail", tag = "notifications",
    security(("token" = [])), params(("mailId" = String, Path, description = "The mail's id")),
    responses(
        (status = 200, body = Email),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such mail", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was sent, or what it said is not known any more", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<Email>, Problem> {
    let shared = &api.0;
    let writer = shared.recording()?;
    let now = shared.clock.now();
    let mut author = access.author(now)?;
    let mut transaction = shared.store.begin_writing().await?;
    let refusal = match outbox::again(&mut transaction, &id, now).await? {
        Again::Waits => None,
        Again::Unknown => return Err(Problem::not_found("there is no such mail")),
        Again::Sent => Some("the mail server has taken it"),
        Again::Forgotten => Some("what it said is not known any more: write another one"),
        Again::AtOnce => Some(
            "what it said is not stored: try the job again that it belongs to \
             (`/v1/provisioning/jobs/{jobId}/retry`), or reset the person's password",
        ),
    };
    if let Some(refusal) = refusal {
        return Err(Problem::new(StatusCode::CONFLICT, refusal));
    }
    pending::leave(&mut transaction, author.tell("notification.retry", &id)).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    recorded(writer).await?;
    let entry = outbox::find(&shared.store, &id).await?;
    let entry = entry.ok_or_else(|| Problem::not_found("there is no such mail"))?;
    Ok(Json(Email::new(entry)))
}
