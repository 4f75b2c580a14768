use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::{Access, Part};
use super::budget::Standing;
use super::extract::Query;
use super::page;
use super::problem::Problem;
use crate::store::budgets;
use crate::usage;

/// Which budgets. Whatever is not said does not restrict.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those that bind one department, by code.
    #[param(example = "sales")]
    department: Option<String>,
    /// Most budgets of the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of budgets, in the order of their names.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Budgets {
    budgets: Vec<Standing>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Budgets, and where they stand
#[utoipa::path(
    get, path = "/v1/budgets", operation_id = "listBudgets", tag = "budgets",
    security(("token" = [])), params(Which),
    responses(
        (status = 200, body = Budgets),
        (status = 400, description = "A filter is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing, or it is about another department or person than the caller's own", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
    Query(which): Query<Which>,
) -> Result<Json<Budgets>, Problem> {
    let shared = &api.0;
    let limit = page::limit(which.limit)?;
    let part = access.reach().confine(Part {
        department: which.department,
        person: None,
    })?;
    let found = budgets::list(
        &shared.store,
        part.department.as_deref(),
        which.cursor.as_deref().unwrap_or_default(),
        limit + 1,
    )
    .await?;
    let (found, next) = page::cut(found, limit, |stored| stored.budget.id.plain().to_owned());
    let found = found.into_iter().map(|stored| stored.budget).collect();
    let now = shared.clock.now();
    let standing = usage::standing(&shared.store, &shared.calendar, found, now).await?;
    let policy = shared.hub.policy();
    let standing = standing.into_iter();
    let budgets = standing
        .map(|usage| Standing::new(usage, &policy))
        .collect();
    Ok(Json(Budgets { budgets, next }))
}
