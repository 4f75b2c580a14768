use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::alert::{Alert, Showing};
use super::extract::Query;
use super::moments::moment;
use super::page;
use super::problem::Problem;
use crate::alerts::{RuleName, Severity};
use crate::store::alerts::list::{self, Filter};

/// Which alerts. Whatever is not said does not restrict.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Of one rule.
    rule: Option<RuleName>,
    /// That matter so much at least.
    severity: Option<Severity>,
    /// About one person, key, address, denial code or budget, by its id.
    #[param(example = "E001")]
    subject: Option<String>,
    /// Of one department, by code.
    department: Option<String>,
    /// Only those that somebody has taken note of, or nobody.
    acknowledged: Option<bool>,
    /// Found not before this moment (RFC 3339) or day.
    #[param(example = "2024-10-01")]
    from: Option<String>,
    /// Found before this moment (RFC 3339), or until the end of this day.
    #[param(example = "2024-10-31")]
    to: Option<String>,
    /// Most alerts of the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of alerts, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AlertPage {
    alerts: Vec<Alert>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What rules have found in the records
#[utoipa::path(
    get, path = "/v1/alerts", operation_id = "listAlerts", tag = "alerts",
    security(("token" = [])), params(Which),
    responses(
        (status = 200, body = AlertPage),
        (status = 400, description = "A filter is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    headers: HeaderMap,
    Query(which): Query<Which>,
) -> Result<Json<AlertPage>, Problem> {
    let limit = page::limit(which.limit)?;
    let before = match which.cursor.as_deref().map(str::parse::<u64>) {
        None => None,
        Some(Ok(seq)) => Some(seq),
        Some(Err(_)) => return Err(Problem::bad_request("`cursor` must be `next` of a page")),
    };
    let calendar = &api.0.calendar;
    let filter = Filter {
        rule: which.rule,
        severity: which.severity,
        subject: which.subject,
        department: which.department,
        acknowledged: which.acknowledged,
        from: moment("from", which.from.as_deref(), false, calendar)?,
        to: moment("to", which.to.as_deref(), true, calendar)?,
    };
    let found = list::newest(&api.0.store, &filter, before, limit + 1).await?;
    let (found, next) = page::cut(found, limit, |alert| alert.seq.to_string());
    let showing = Showing::new(&api, &headers);
    let alerts = found.into_iter().map(|found| showing.alert(found));
    Ok(Json(AlertPage {
        alerts: alerts.collect(),
        next,
    }))
}
