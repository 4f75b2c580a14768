use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sekisho_domain::policy::raw::RawBudget;
use sekisho_domain::{Budget, Policy};
use serde_json::Value;

use super::Api;
use super::access::Access;
use super::budget::{self, Standing, Wanted};
use super::etag::IfMatch;
use super::extract::{Json as Body, Path};
use super::problem::Problem;
use crate::writer::{BudgetOrder, BudgetOutcome};

/// Set a budget
///
/// Makes it, or replaces it whole. It is in force at once where leases are granted, and known
/// to every gateway within a second. A limit below what has been used or is under way lets
/// nothing more pass; what is idle at gateways comes back. A budget that is to count something
/// else than before, in another meter, over another window or for somebody else, starts to
/// count anew.
#[utoipa::path(
    put, path = "/v1/budgets/{budgetId}", operation_id = "setBudget", tag = "budgets",
    security(("token" = [])), request_body(content = Wanted),
    params(
        ("budgetId" = String, Path, description = "Name of the budget: 1 to 64 ASCII letters, digits, `-`, `_`, `.` or `:`"),
        ("If-Match" = Option<String>, Header, description = "`ETag` of the budget as the caller knows it"),
    ),
    responses(
        (status = 200, description = "It was changed, or is so already", body = Standing, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 201, description = "There was none of this name", body = Standing, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The budget was changed since, or there is none", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is no budget; `detail` names everything that is wrong with it", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "This sidecar stands by, or has just ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    administrator: Access,
    Path(id): Path<String>,
    condition: IfMatch,
    Body(wanted): Body<Value>,
) -> Result<Response, Problem> {
    let wanted = read(&id, wanted, &api.0.hub.policy())?;
    let order = BudgetOrder {
        id,
        wanted: Some(wanted),
        condition: budget::condition(condition),
        author: administrator.author(api.0.clock.now())?,
    };
    match budget::change(&api, order).await? {
        BudgetOutcome::Created(stored) => {
            let shown = budget::answer(&api, stored).await?;
            Ok((StatusCode::CREATED, shown).into_response())
        }
        BudgetOutcome::Changed(stored) => budget::answer(&api, stored).await,
        BudgetOutcome::Condition => Err(budget::changed_since()),
        BudgetOutcome::Removed(_) | BudgetOutcome::Unknown => Err(budget::unknown()),
    }
}

/// The budget of a body, or all that is wrong with it.
fn read(id: &str, body: Value, policy: &Policy) -> Result<Budget, Problem> {
    let unprocessable = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let Value::Object(mut members) = body else {
        return Err(unprocessable("a budget is a JSON object".to_owned()));
    };
    if members.get("id").is_some_and(|given| given != id) {
        return Err(unprocessable("`id` is not the one of the path".to_owned()));
    }
    members.insert("id".to_owned(), id.into());
    let raw: RawBudget = serde_json::from_value(Value::Object(members))
        .map_err(|error| unprocessable(error.to_string()))?;
    Budget::check(&raw, policy).map_err(|problems| {
        let texts = problems.iter().map(|problem| match problem.path.as_str() {
            "" => problem.message.clone(),
            member => format!("`{member}` {}", problem.message),
        });
        unprocessable(texts.collect::<Vec<_>>().join("; "))
    })
}
