use axum::Json;
use axum::extract::State;

use super::Api;
use super::access::Access;
use super::email::Email;
use super::extract::Path;
use super::problem::Problem;
use super::retry::{Words, retry};
use crate::mail::outbox::{self, LETTERS};

const WORDS: Words = Words {
    unknown: "there is no such mail",
    sent: "the mail server has taken it",
};

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
    retry(shared, &access, &LETTERS, &id, &WORDS).await?;
    let entry = outbox::find(&shared.store, &id).await?;
    let entry = entry.ok_or_else(|| Problem::not_found(WORDS.unknown))?;
    Ok(Json(Email::new(entry)))
}
