use axum::Json;
use axum::extract::State;
use sekisho_domain::BudgetId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::extract::Query;
use super::moments::shown;
use super::page;
use super::problem::Problem;
use crate::store::budgets;

/// Which events. Whatever is not said does not restrict.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those of one budget, by name.
    #[param(example = "sales-cost")]
    budget: Option<String>,
    /// Most events of the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `id` of the last event that is known: those after it.
    cursor: Option<String>,
}

/// A page of events, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Events {
    events: Vec<Event>,
    /// Where the next page begins; absent: this was the last. Whoever asks again later goes on
    /// from the last event's `id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Half, four fifths or all of a budget were used up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Event {
    /// Its place in the order, in digits; there are gaps.
    #[schema(example = "17")]
    id: String,
    /// When.
    #[schema(example = "2024-10-14T03:12:45Z")]
    at: String,
    /// Name of the budget.
    #[schema(example = "sales-cost")]
    budget: String,
    /// In percent of the limit: 50, 80 or 100. 100 also if so much was used or set aside that a
    /// call was refused.
    #[schema(example = 80)]
    level: u64,
    /// Whether a call was refused.
    refused: bool,
    /// What the budget counts.
    #[schema(example = "cost")]
    meter: &'static str,
    /// The limit at that time.
    #[schema(example = "50000")]
    limit: String,
    /// What calls that had ended had used.
    #[schema(example = "40012.5")]
    settled: String,
    /// First moment of the window.
    #[schema(example = "2024-09-30T15:00:00Z")]
    window_start: String,
    /// First moment of the next window.
    #[schema(example = "2024-10-31T15:00:00Z")]
    window_end: String,
}

/// When budgets were used up by half, by four fifths and wholly
#[utoipa::path(
    get, path = "/v1/budget-events", operation_id = "listBudgetEvents", tag = "budgets",
    security(("token" = [])), params(Which),
    responses(
        (status = 200, body = Events),
        (status = 400, description = "A filter is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    Query(which): Query<Which>,
) -> Result<Json<Events>, Problem> {
    let limit = page::limit(which.limit)?;
    let after = match which.cursor.as_deref() {
        None => 0,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| Problem::bad_request("`cursor` is not the `id` of an event"))?,
    };
    let budget = which.budget.map(BudgetId);
    let found = budgets::events(&api.0.store, budget.as_ref(), after, limit + 1).await?;
    let (found, next) = page::cut(found, limit, |event| event.seq.to_string());
    let events = found.into_iter().map(|event| Event {
        id: event.seq.to_string(),
        at: shown(event.at),
        budget: event.budget,
        level: event.level,
        refused: event.refused,
        meter: event.meter.as_str(),
        limit: event.meter.shown(event.limit),
        settled: event.meter.shown(event.settled),
        window_start: shown(event.window_start),
        window_end: shown(event.window_end),
    });
    let events = events.collect();
    Ok(Json(Events { events, next }))
}
