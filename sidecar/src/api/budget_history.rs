use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::budget::{self, Wanted};
use super::extract::{Path, Query};
use super::moments::shown;
use super::page;
use super::problem::Problem;
use crate::store::budgets;

/// Which part of the history.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Most changes of the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of changes, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    changes: Vec<Change>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One change of a budget.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Change {
    /// When.
    #[schema(example = "2024-10-01T00:00:00Z")]
    at: String,
    /// By whom: tenant and object id of an account, or `policy file`.
    by: String,
    /// What was done: `created`, `changed` or `removed`.
    #[schema(example = "changed")]
    action: &'static str,
    /// The budget before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Wanted>)]
    former: Option<Value>,
    /// The budget from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Wanted>)]
    budget: Option<Value>,
}

/// Who changed what about a budget, and when
#[utoipa::path(
    get, path = "/v1/budgets/{budgetId}/history", operation_id = "getBudgetHistory", tag = "budgets",
    security(("token" = [])),
    params(("budgetId" = String, Path, description = "Name of the budget, also of one that was removed"), Which),
    responses(
        (status = 200, body = History),
        (status = 400, description = "The page is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There never was such a budget", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<History>, Problem> {
    let store = &api.0.store;
    let limit = page::limit(which.limit)?;
    let before = match which.cursor.as_deref() {
        None => i64::MAX,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| Problem::bad_request("`cursor` is not the `next` of a page"))?,
    };
    let found = budgets::find(store, &id).await?;
    if !found.is_some_and(|stored| budget::is_within(&stored, access.reach())) {
        return Err(budget::unknown());
    }
    let found = budgets::history(store, &id, before, limit + 1).await?;
    let (found, next) = page::cut(found, limit, |change| change.version.to_string());
    let changes = found.into_iter().map(|change| Change {
        at: shown(change.at),
        by: change.by,
        action: change.action.as_str(),
        former: change.former,
        budget: change.budget,
    });
    let changes = changes.collect();
    Ok(Json(History { changes, next }))
}
