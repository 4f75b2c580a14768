use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::amounts::Amounts;
use super::apikey;
use super::extract::{Path, Query};
use super::moments::days;
use super::money::Money;
use super::problem::Problem;
use super::usage_summary::Period;
use crate::key_usage;
use crate::store::keys;
use crate::usage::Figures;

/// What a key used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyUsage {
    /// Public id of the key.
    #[schema(example = "key-5e6c7d8091ab0001")]
    id: String,
    /// First day.
    #[schema(example = "2024-10-01")]
    from: String,
    /// Last day, included.
    #[schema(example = "2024-10-31")]
    to: String,
    #[serde(flatten)]
    total: Sums,
    /// The days on which it was used, oldest first.
    days: Vec<DayUsage>,
}

/// What a key or a person used on one day.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DayUsage {
    /// In the company's time zone.
    #[schema(example = "2024-10-01")]
    pub(super) day: String,
    #[serde(flatten)]
    pub(super) sums: Sums,
}

/// Sums over calls.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sums {
    /// Calls that were admitted and have ended.
    requests: u64,
    /// Calls that were refused although the credential is valid.
    refused: u64,
    #[serde(flatten)]
    amounts: Amounts,
    cost: Money,
}

impl Sums {
    pub(super) fn new(figures: &Figures, currency: &str) -> Self {
        Self {
            requests: figures.requests,
            refused: figures.refused,
            amounts: Amounts::from(figures),
            cost: Money::new(figures.cost_micros, currency),
        }
    }
}

/// Usage and cost of one subscription key, day by day
///
/// Read from the audit log: whatever is on record when the question comes is in the answer.
#[utoipa::path(
    get, path = "/v1/apikeys/{apiKey}/usage", operation_id = "getApiKeyUsage", tag = "apikeys",
    security(("token" = [])),
    params(("apiKey" = String, Path, description = "Public id of the key, never its secret"), Period),
    responses(
        (status = 200, body = KeyUsage),
        (status = 400, description = "The days are not days", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such key", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
    Query(period): Query<Period>,
) -> Result<Json<KeyUsage>, Problem> {
    let shared = &api.0;
    let (calendar, now) = (&shared.calendar, shared.clock.now());
    let days = days(period.from.as_deref(), period.to.as_deref(), calendar, now)?;
    let key = keys::find(&shared.store, &id).await?;
    let key = key.filter(|key| apikey::is_within(key, access.reach()));
    let key = key.ok_or_else(apikey::unknown)?;
    let used = key_usage::of_key(&shared.store, calendar, key.id.as_str(), days).await?;
    let currency = &shared.hub.policy().currency;
    let mut total = Figures::default();
    for (_, figures) in &used {
        total.add(figures);
    }
    let of_day = |(day, figures): (String, Figures)| DayUsage {
        day,
        sums: Sums::new(&figures, currency),
    };
    Ok(Json(KeyUsage {
        id: key.id.0,
        from: days.from.to_string(),
        to: days.to.to_string(),
        total: Sums::new(&total, currency),
        days: used.into_iter().map(of_day).collect(),
    }))
}
