use axum::extract::State;
use axum::response::Response;

use super::Api;
use super::access::Access;
use super::budget::{self, Standing};
use super::extract::Path;
use super::problem::Problem;
use crate::store::budgets;

/// One budget, and where it stands
#[utoipa::path(
    get, path = "/v1/budgets/{budgetId}", operation_id = "getBudget", tag = "budgets",
    security(("token" = [])),
    params(("budgetId" = String, Path, description = "Name of the budget")),
    responses(
        (status = 200, body = Standing, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such budget", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = budgets::find(&api.0.store, &id).await?;
    let found = found.filter(|stored| !stored.removed);
    let found = found.filter(|stored| budget::is_within(stored, access.reach()));
    budget::answer(&api, found.ok_or_else(budget::unknown)?).await
}
