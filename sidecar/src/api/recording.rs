//! What a change needs so that it is on record before anybody hears that it was done.

use axum::http::StatusCode;

use super::Shared;
use super::problem::Problem;
use crate::writer::Writer;

impl Shared {
    /// Who will put a change on record. Asked before the change: without a writer nothing is
    /// changed.
    pub(super) fn recording(&self) -> Result<&Writer, Problem> {
        self.writer().ok_or_else(|| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "this sidecar does not write the audit log just now: try again",
            )
        })
    }
}

/// Waits until the change that was just committed is in the log.
pub(super) async fn recorded(writer: &Writer) -> Result<(), Problem> {
    writer.take_pending().await.map_err(|_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "it was done, and the sidecar ended before it was in the audit log: the next one to \
             run puts it there first",
        )
    })
}
