use axum::Json;
use axum::extract::State;
use sekisho_domain::DepartmentId;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::{Access, outside};
use super::budget::Standing;
use super::extract::{Path, Query};
use super::moments::days;
use super::problem::Problem;
use super::usage_summary::{DepartmentUsage, Period};
use crate::usage;

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
    budgets: Vec<Standing>,
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
        (status = 403, description = "The role is missing, or it is about another department or person than the caller's own", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such department", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
    Query(period): Query<Period>,
) -> Result<Json<Detail>, Problem> {
    if !access.reach().covers(Some(&id), None) {
        return Err(outside());
    }
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
        budgets: detail
            .budgets
            .into_iter()
            .map(|usage| Standing::new(usage, &policy))
            .collect(),
    }))
}
