//! What waits in an outbox, tried again: on record, as every change.

use axum::http::StatusCode;

use super::Shared;
use super::access::Access;
use super::problem::Problem;
use super::recording::recorded;
use crate::outbox::{Again, Outbox};
use crate::store::{StoreError, pending};

/// What is said of what cannot be tried again.
pub(super) struct Words {
    /// There is none.
    pub(super) unknown: &'static str,
    /// It was taken.
    pub(super) sent: &'static str,
}

/// Lets an entry be tried now, or says why it is not.
pub(super) async fn retry(
    shared: &Shared,
    access: &Access,
    outbox: &Outbox,
    id: &str,
    words: &Words,
) -> Result<(), Problem> {
    let writer = shared.recording()?;
    let now = shared.clock.now();
    let mut author = access.author(now)?;
    let mut transaction = shared.store.begin_writing().await?;
    let refusal = match outbox.again(&mut transaction, id, now).await? {
        Again::Waits => None,
        Again::Unknown => return Err(Problem::not_found(words.unknown)),
        Again::Sent => Some(words.sent),
        Again::Gone => Some("the browser that it was for is gone"),
        Again::Forgotten => Some("what it said is not known any more: write another one"),
        Again::AtOnce => Some(
            "what it said is not stored: try the job again that it belongs to \
             (`/v1/provisioning/jobs/{jobId}/retry`), or reset the person's password",
        ),
    };
    if let Some(refusal) = refusal {
        return Err(Problem::new(StatusCode::CONFLICT, refusal));
    }
    pending::leave(&mut transaction, author.tell("notification.retry", id)).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    recorded(writer).await
}
