use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::apikey_usage::{DayUsage, Sums};
use super::extract::{Path, Query};
use super::moments::days;
use super::problem::Problem;
use super::usage_summary::{ModelUsage, Period, by_model};
use super::user_get::{is_within, unknown};
use crate::store::people;
use crate::usage::{self, Figures};

/// What a person used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserUsage {
    /// The company's id of the person.
    #[schema(example = "001")]
    id: String,
    /// First day.
    #[schema(example = "2024-10-01")]
    from: String,
    /// Last day, included.
    #[schema(example = "2024-10-31")]
    to: String,
    #[serde(flatten)]
    total: Sums,
    /// The days on which the person called, oldest first.
    days: Vec<DayUsage>,
    /// The same by API and model.
    models: Vec<ModelUsage>,
}

/// Usage and cost of one person, by day and by model
///
/// With tokens, and with subscription keys that are issued to the person. To a department manager
/// what the own department paid.
#[utoipa::path(
    get, path = "/v1/users/{userId}/usage", operation_id = "getUserUsage", tag = "users",
    security(("token" = [])),
    params(("userId" = String, Path, description = "The company's id of the person"), Period),
    responses(
        (status = 200, body = UserUsage),
        (status = 400, description = "The days are not days", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such person", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
    Query(period): Query<Period>,
) -> Result<Json<UserUsage>, Problem> {
    let shared = &api.0;
    let (calendar, now) = (&shared.calendar, shared.clock.now());
    let days = days(period.from.as_deref(), period.to.as_deref(), calendar, now)?;
    let person = people::find(&shared.store, &id).await?;
    let person = person.filter(|person| is_within(person, access.reach()));
    let person = person.ok_or_else(unknown)?;
    let payer = access.reach().payer_of(person.id.as_str());
    let lines = usage::person(&shared.store, person.id.as_str(), payer, days).await?;
    let currency = &shared.hub.policy().currency;
    let mut total = Figures::default();
    let mut by_day: BTreeMap<&str, Figures> = BTreeMap::new();
    for line in &lines {
        total.add(&line.figures);
        by_day.entry(&line.day).or_default().add(&line.figures);
    }
    let of_day = |(day, figures): (&str, Figures)| DayUsage {
        day: day.to_owned(),
        sums: Sums::new(&figures, currency),
    };
    Ok(Json(UserUsage {
        from: days.from.to_string(),
        to: days.to.to_string(),
        total: Sums::new(&total, currency),
        days: by_day.into_iter().map(of_day).collect(),
        models: by_model(&lines, currency),
        id: person.id.0,
    }))
}
