use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::access::Access;
use super::budget;
use super::etag::IfMatch;
use super::extract::Path;
use super::problem::Problem;
use crate::writer::{BudgetOrder, BudgetOutcome};

/// Take a budget away
///
/// It binds nobody any longer, everywhere within a second, and stays away when the sidecar
/// starts again, even if the policy file has it. Its history stays.
#[utoipa::path(
    delete, path = "/v1/budgets/{budgetId}", operation_id = "removeBudget", tag = "budgets",
    security(("token" = [])),
    params(
        ("budgetId" = String, Path, description = "Name of the budget"),
        ("If-Match" = Option<String>, Header, description = "`ETag` of the budget as the caller knows it"),
    ),
    responses(
        (status = 204, description = "It is no more"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such budget", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The budget was changed since", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "This sidecar stands by, or has just ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(api): State<Api>,
    administrator: Access,
    Path(id): Path<String>,
    condition: IfMatch,
) -> Result<StatusCode, Problem> {
    let order = BudgetOrder {
        id,
        wanted: None,
        condition: budget::condition(condition),
        author: administrator.author(api.0.clock.now())?,
    };
    match budget::change(&api, order).await? {
        BudgetOutcome::Removed(_) => Ok(StatusCode::NO_CONTENT),
        BudgetOutcome::Condition => Err(budget::changed_since()),
        _ => Err(budget::unknown()),
    }
}
