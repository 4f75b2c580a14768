//! What Microsoft Graph says, for whoever called the sidecar.

use axum::http::StatusCode;

use super::problem::Problem;
use crate::entra::GraphError;

pub(super) fn graph_problem(error: &GraphError) -> Problem {
    let status = match error {
        GraphError::NotSent(_)
        | GraphError::Lost(_)
        | GraphError::Throttled { .. }
        | GraphError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    };
    tracing::warn!(error = error as &dyn std::error::Error, "Microsoft Graph");
    let when = error
        .told()
        .map(|after| format!(" for {} s", after.as_secs()));
    let detail = match (status, when) {
        (StatusCode::SERVICE_UNAVAILABLE, Some(when)) => {
            format!("{error}, and wants no calls{when}")
        }
        (StatusCode::SERVICE_UNAVAILABLE, None) => format!("{error}: try again"),
        _ => error.to_string(),
    };
    Problem::new(status, detail)
}
