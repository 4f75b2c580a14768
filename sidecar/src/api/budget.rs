//! A budget as the API shows it.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sekisho_domain::{Modality, Payer, Policy, Subject};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Reach;
use super::etag::{self, IfMatch};
use super::moments::shown;
use super::problem::Problem;
use crate::overshoot;
use crate::store::budgets::StoredBudget;
use crate::usage::{self, BudgetUsage};
use crate::writer::{BudgetOrder, BudgetOutcome};

/// A budget as it is to be: exactly one of `organisation`, `department`, `user` and `key`, at
/// most one of `api`, `model` and `modality`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read as in the policy file")]
pub(super) struct Wanted {
    /// Its name; may be left out, as it stands in the path.
    id: Option<String>,
    /// `true`: it binds everybody together.
    organisation: Option<bool>,
    /// It binds this department, by code.
    #[schema(example = "sales")]
    department: Option<String>,
    /// It binds this person, by the company's id.
    user: Option<String>,
    /// It binds this subscription key, by its public id.
    key: Option<String>,
    /// It counts the calls of this API alone.
    api: Option<String>,
    /// It counts the calls of this model alone.
    model: Option<String>,
    /// It counts the calls of this modality alone: `text`, `audio`, `image` or `video`.
    modality: Option<String>,
    /// What it counts: `requests`, `input_tokens`, `output_tokens`, `tokens`, `bytes`, `cost` or
    /// `concurrency`.
    #[schema(example = "cost")]
    meter: String,
    /// When it starts anew: each `minute`, `hour`, `day` or `month`; left out for
    /// `concurrency`.
    #[schema(example = "month")]
    window: Option<String>,
    /// A whole number, or for `cost` also a decimal as text. 0: none may pass. There is no
    /// unlimited: remove the budget.
    #[schema(value_type = String, example = "50000")]
    limit: String,
    /// What is set aside for an answer that streams: `strict` (if not said), the most that it can
    /// use, or `stream_cut`, an estimate and, as it passes, more; it is cut when there is no more.
    mode: Option<String>,
    /// With `stream_cut`: output tokens that are set aside before an answer begins and each time
    /// that it needs more; 2000 if not said.
    estimate_tokens: Option<u64>,
    /// With `stream_cut`: output tokens that a provider can have generated, when an answer is cut,
    /// beyond those that have passed; 100 if not said.
    ahead_tokens: Option<u64>,
}

/// A budget and where it stands in its current window. Amounts are decimals: calls, tokens or
/// money, by the meter.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Standing {
    /// Its name.
    #[schema(example = "sales-cost")]
    id: String,
    /// It binds everybody together.
    #[serde(skip_serializing_if = "Option::is_none")]
    organisation: Option<bool>,
    /// It binds this department, by code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sales")]
    department: Option<String>,
    /// It binds this person, by the company's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// It binds this subscription key, by its public id.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// It counts the calls of this API alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<String>,
    /// It counts the calls of this model alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// It counts the calls of this modality alone: `text`, `audio`, `image` or `video`.
    #[serde(skip_serializing_if = "Option::is_none")]
    modality: Option<&'static str>,
    /// What it counts: `requests`, `input_tokens`, `output_tokens`, `tokens`, `bytes`, `cost` or
    /// `concurrency`.
    #[schema(example = "cost")]
    meter: &'static str,
    /// When it starts anew: each `minute`, `hour`, `day` or `month`; absent for `concurrency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "month")]
    window: Option<&'static str>,
    /// Most that a window may take.
    #[schema(example = "50000")]
    limit: String,
    /// What is set aside for an answer that streams: `strict`, the most that it can use, or
    /// `stream_cut`, an estimate and, as it passes, more.
    #[schema(example = "strict")]
    mode: &'static str,
    /// With `stream_cut`: output tokens that are set aside each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate_tokens: Option<u64>,
    /// With `stream_cut`: output tokens that a provider can have generated beyond those that have
    /// passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead_tokens: Option<u64>,
    /// The most that a window can have spent over the limit; of calls that do not wait for their
    /// records (`audit: relaxed`), what a gateway that dies had leased besides.
    #[schema(example = "0")]
    overshoot: String,
    /// Used by calls that have ended.
    #[schema(example = "12.345")]
    settled: String,
    /// Set aside for calls under way, at their worst case.
    #[schema(example = "300")]
    reserved: String,
    /// Set aside for gateways: `reserved`, and what they may still spend without asking.
    #[schema(example = "500")]
    leased: String,
    /// First moment of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-09-30T15:00:00Z")]
    window_start: Option<String>,
    /// First moment of the next window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-10-31T15:00:00Z")]
    window_end: Option<String>,
}

impl Standing {
    pub(super) fn new(usage: BudgetUsage, policy: &Policy) -> Self {
        let budget = usage.budget;
        let cut = budget.mode.stream_cut();
        let overshoot = overshoot::of(policy, &budget);
        let amount = |amount| budget.meter.shown(amount);
        let mut standing = Self {
            id: budget.id.plain().to_owned(),
            organisation: None,
            department: None,
            user: None,
            key: None,
            api: None,
            model: None,
            modality: None,
            meter: budget.meter.as_str(),
            window: budget.window.map(sekisho_domain::WindowUnit::as_str),
            limit: amount(budget.limit),
            mode: budget.mode.as_str(),
            estimate_tokens: cut.map(|cut| cut.estimate.0),
            ahead_tokens: cut.map(|cut| cut.ahead.0),
            overshoot: amount(overshoot),
            settled: amount(usage.settled),
            reserved: amount(usage.reserved),
            leased: amount(usage.reserved.saturating_add(usage.free)),
            window_start: usage.window.map(|window| shown(window.start)),
            window_end: usage.window.map(|window| shown(window.end)),
        };
        match budget.payer {
            Payer::Organisation => standing.organisation = Some(true),
            Payer::Department(id) => standing.department = Some(id.0),
            Payer::User(id) => standing.user = Some(id.0),
            Payer::Key(id) => standing.key = Some(id.0),
        }
        match budget.subject {
            Subject::Everything => {}
            Subject::Api(id) => standing.api = Some(id.0),
            Subject::Model(name) => standing.model = Some(name),
            Subject::Modality(modality) => standing.modality = Some(Modality::as_str(modality)),
        }
        standing
    }
}

/// The answer that shows a budget, under its entity tag.
pub(super) async fn answer(api: &Api, stored: StoredBudget) -> Result<Response, Problem> {
    let shared = &api.0;
    let tag = [(header::ETAG, etag::of(stored.version))];
    let (calendar, now) = (&shared.calendar, shared.clock.now());
    let standing = usage::standing(&shared.store, calendar, vec![stored.budget], now).await?;
    let policy = shared.hub.policy();
    let standing = standing.into_iter().next();
    let standing = standing.map(|usage| Standing::new(usage, &policy));
    let standing = standing.ok_or_else(unknown)?;
    Ok((tag, Json(standing)).into_response())
}

/// Has the writer carry an order out, and tells every gateway.
pub(super) async fn change(api: &Api, order: BudgetOrder) -> Result<BudgetOutcome, Problem> {
    let shared = &api.0;
    let Some(writer) = shared.writer() else {
        return Err(unavailable());
    };
    let _turn = shared.hub.turn().await;
    let outcome = writer.change_budget(order).await;
    let outcome = outcome.map_err(|_| unavailable())?;
    if let BudgetOutcome::Created(stored)
    | BudgetOutcome::Changed(stored)
    | BudgetOutcome::Removed(stored) = &outcome
    {
        shared.hub.upsert_budgets(vec![stored.to_link()]);
    }
    Ok(outcome)
}

/// The condition of a request: a budget that is not there matches only if nothing is asked.
pub(super) fn condition(condition: IfMatch) -> Box<dyn Fn(Option<i64>) -> bool + Send> {
    Box::new(move |version| match version {
        Some(version) => condition.check(version).is_ok(),
        None => condition.is_absent(),
    })
}

/// Whether a budget is in the caller's reach: it binds the department or the person, and nobody
/// besides.
pub(super) fn is_within(stored: &StoredBudget, reach: &Reach) -> bool {
    match &stored.budget.payer {
        Payer::Department(id) => reach.covers(Some(id.as_str()), None),
        Payer::User(id) => reach.covers(None, Some(id.as_str())),
        Payer::Organisation | Payer::Key(_) => reach.is_everything(),
    }
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("there is no such budget")
}

pub(super) fn changed_since() -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "it was changed since: get it again, and its new `ETag`",
    )
}

fn unavailable() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "this sidecar does not write the ledger just now: try again",
    )
}
