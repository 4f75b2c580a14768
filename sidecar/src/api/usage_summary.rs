use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use sekisho_domain::DepartmentId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::amounts::Amounts;
use super::extract::Query;
use super::moments::days;
use super::money::Money;
use super::problem::Problem;
use crate::usage::{self, Figures, Line};

/// Which days.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Period {
    /// First day, `YYYY-MM-DD` in the company's time zone; default: first of the month of `to`.
    #[param(example = "2024-10-01")]
    pub(super) from: Option<String>,
    /// Last day, included; default: today.
    #[param(example = "2024-10-31")]
    pub(super) to: Option<String>,
}

/// What all departments used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Summary {
    /// First day.
    #[schema(example = "2024-10-01")]
    from: String,
    /// Last day, included.
    #[schema(example = "2024-10-31")]
    to: String,
    /// Every department of the policy, and former ones that were charged; by id.
    departments: Vec<DepartmentUsage>,
}

/// What one department used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DepartmentUsage {
    department: Department,
    /// Calls that were admitted and have ended.
    requests: u64,
    /// Calls that were refused.
    refused: u64,
    #[serde(flatten)]
    amounts: Amounts,
    cost: Money,
    /// The same by API and model.
    models: Vec<ModelUsage>,
}

/// A department.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Department {
    /// Its code; empty: callers of no known department.
    #[schema(example = "sales")]
    id: String,
    /// Its name.
    #[schema(example = "営業部")]
    name: String,
}

/// What was used of one model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelUsage {
    /// API of the policy.
    api: String,
    /// Model by the name that clients use.
    model: String,
    /// Calls that were admitted and have ended.
    requests: u64,
    #[serde(flatten)]
    amounts: Amounts,
    cost: Money,
}

/// Usage and cost of every department
#[utoipa::path(
    get, path = "/v1/departments/usage/summary", operation_id = "getUsageSummary", tag = "departments",
    security(("token" = [])), params(Period),
    responses(
        (status = 200, body = Summary),
        (status = 400, description = "The days are not days", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    Query(period): Query<Period>,
) -> Result<Json<Summary>, Problem> {
    let shared = &api.0;
    let now = shared.clock.now();
    let days = days(
        period.from.as_deref(),
        period.to.as_deref(),
        &shared.calendar,
        now,
    )?;
    let policy = shared.hub.policy();
    let summary = usage::summary(&shared.store, &policy, days).await?;
    let mut departments = Vec::with_capacity(summary.departments.len());
    for department in summary.departments {
        let detail = usage::department(&shared.store, &policy, &department.id, days, now).await?;
        let lines = detail.map(|detail| detail.lines).unwrap_or_default();
        departments.push(DepartmentUsage::new(
            &department.id,
            department.name,
            &department.figures,
            &lines,
            &summary.currency,
        ));
    }
    Ok(Json(Summary {
        from: days.from.to_string(),
        to: days.to.to_string(),
        departments,
    }))
}

impl DepartmentUsage {
    pub(super) fn new(
        id: &DepartmentId,
        name: String,
        figures: &Figures,
        lines: &[Line],
        currency: &str,
    ) -> Self {
        Self {
            department: Department {
                id: id.0.clone(),
                name,
            },
            requests: figures.requests,
            refused: figures.refused,
            amounts: Amounts::from(figures),
            cost: Money::new(figures.cost_micros, currency),
            models: by_model(lines, currency),
        }
    }
}

/// Sums over days and people; calls that were only ever refused are no usage of a model.
pub(super) fn by_model(lines: &[Line], currency: &str) -> Vec<ModelUsage> {
    let mut sums: BTreeMap<(&str, &str), Figures> = BTreeMap::new();
    for line in lines {
        let sum = sums.entry((&line.api, &line.model)).or_default();
        sum.add(&line.figures);
    }
    let used = sums.into_iter().filter(|(_, figures)| figures.requests > 0);
    used.map(|((api, model), figures)| ModelUsage {
        api: api.to_owned(),
        model: model.to_owned(),
        requests: figures.requests,
        amounts: Amounts::from(&figures),
        cost: Money::new(figures.cost_micros, currency),
    })
    .collect()
}
