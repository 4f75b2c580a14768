use axum::Json;
use axum::extract::State;
use sekisho_domain::{DepartmentId, Meter, Micros};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::authentication::Auditor;
use super::extract::{Path, Query};
use super::moments::{days, shown};
use super::problem::Problem;
use super::usage_summary::{DepartmentUsage, Period};
use crate::usage::{self, BudgetUsage};

/// What a department used, and where its budgets stand.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Detail {
    /// First day.
    from: String,
    /// Last day, included.
    to: String,
    #[serde(flatten)]
    usage: DepartmentUsage,
    /// Its budgets in their current windows, whatever days were asked for.
    budgets: Vec<Budget>,
}

/// Where a budget stands. Amounts are decimals: calls, tokens or money, by the meter.
#[derive(Debug, Serialize, ToSchema)]
struct Budget {
    /// Its name.
    id: String,
    /// What it counts: `requests`, `tokens` or `cost`.
    #[schema(example = "cost")]
    meter: &'static str,
    /// Most that a window may take.
    #[schema(example = "50000")]
    limit: String,
    /// Used by calls that have ended.
    #[schema(example = "12.345")]
    settled: String,
    /// Set aside for gateways and calls under way, used or not.
    #[schema(example = "500")]
    leased: String,
    /// First moment of the window.
    #[schema(example = "2024-09-30T15:00:00Z")]
    window_start: String,
    /// First moment of the next window.
    #[schema(example = "2024-10-31T15:00:00Z")]
    window_end: String,
}

/// Usage, cost and budgets of one department
#[utoipa::path(
    get, path = "/v1/departments/{departmentId}/usage", operation_id = "getDepartmentUsage", tag = "departments",
    security(("token" = [])),
    params(("departmentId" = String, Path, description = "Code of the department"), Period),
    responses(
        (status = 200, body = Detail),
        (status = 400, description = "The days are not days", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such department", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Auditor,
    Path(id): Path<String>,
    Query(period): Query<Period>,
) -> Result<Json<Detail>, Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let days = days(
        period.from.as_deref(),
        period.to.as_deref(),
        &shared.calendar,
        now,
    )?;
    let policy = shared.hub.policy();
    let id = DepartmentId(id);
    let detail = usage::department(&shared.store, &policy, &id, days, now).await?;
    let detail = detail.ok_or_else(|| Problem::not_found("the policy has no such department"))?;
    let usage = detail.usage;
    Ok(Json(Detail {
        from: days.from.to_string(),
        to: days.to.to_string(),
        usage: DepartmentUsage::new(
            &id,
            usage.name,
            &usage.figures,
            &detail.lines,
            &detail.currency,
        ),
        budgets: detail.budgets.into_iter().map(Budget::from).collect(),
    }))
}

impl From<BudgetUsage> for Budget {
    fn from(budget: BudgetUsage) -> Self {
        let amount = |amount: u64| {
            if budget.meter == Meter::Cost.as_str() {
                Micros(amount).to_string()
            } else {
                amount.to_string()
            }
        };
        Self {
            limit: amount(budget.limit),
            settled: amount(budget.settled),
            leased: amount(budget.leased),
            window_start: shown(budget.window_start),
            window_end: shown(budget.window_end),
            meter: budget.meter,
            id: budget.id,
        }
    }
}
