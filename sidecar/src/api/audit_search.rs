use axum::Json;
use axum::extract::State;
use sekisho_domain::{Micros, RecordId, RecordKind};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Api;
use super::authentication::Auditor;
use super::extract::Query;
use super::moments::moment;
use super::money::Money;
use super::page;
use super::problem::Problem;
use crate::log::search::{self, Filter, Found};

/// Which records. Whatever is not said does not restrict.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    /// Not before this moment (RFC 3339) or day.
    #[param(example = "2024-10-01T09:00:00Z")]
    from: Option<String>,
    /// Before this moment (RFC 3339), or until the end of this day.
    #[param(example = "2024-10-01")]
    to: Option<String>,
    /// Of one person, by the company's id.
    user: Option<String>,
    /// Of one department, by code.
    department: Option<String>,
    /// Of one API.
    api: Option<String>,
    /// Of one model.
    model: Option<String>,
    /// Of one call.
    record_id: Option<String>,
    /// Only these: `admit`, `complete`, `refuse` or `event`.
    #[param(example = "refuse")]
    decision: Option<Decision>,
    /// Only refusals with this code.
    #[param(example = "missing_scope")]
    denial: Option<String>,
    /// Most records of the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Decision {
    /// The call was admitted.
    Admit,
    /// The call has ended.
    Complete,
    /// The call was refused.
    Refuse,
    /// It was no call: somebody changed something, or another system told something.
    Event,
}

/// A page of records, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page {
    records: Vec<Record>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One record.
#[derive(Debug, Serialize, ToSchema)]
struct Record {
    /// Its place in the log: leaf of the tree.
    seq: u64,
    /// The record as it is stored, schema `sekisho.audit.v1`.
    #[schema(value_type = Object)]
    record: Box<RawValue>,
    /// What the call was charged; of completions.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Money>,
}

/// Search the audit log
#[utoipa::path(
    get, path = "/v1/audit/logs/search", operation_id = "searchAuditLog", tag = "audit",
    security(("token" = [])), params(Search),
    responses(
        (status = 200, body = Page),
        (status = 400, description = "A filter is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Auditor,
    Query(wanted): Query<Search>,
) -> Result<Json<Page>, Problem> {
    let shared = &api.0;
    let limit = page::limit(wanted.limit)?;
    let cursor = wanted.cursor.as_deref().map(str::parse::<u64>).transpose();
    let cursor = cursor.map_err(|_| Problem::bad_request("`cursor` must be `next` of a page"))?;
    let record_id = wanted.record_id.as_deref().map(|text| {
        RecordId::parse(text).ok_or_else(|| Problem::bad_request("`record_id` must be a UUID"))
    });
    let filter = Filter {
        from: moment("from", wanted.from.as_deref(), false, &shared.calendar)?,
        to: moment("to", wanted.to.as_deref(), true, &shared.calendar)?,
        record_id: record_id.transpose()?,
        user: wanted.user,
        department: wanted.department,
        api: wanted.api,
        model: wanted.model,
        kind: wanted.decision.map(RecordKind::from),
        denial: wanted.denial,
    };
    let page = search::search(&shared.store, &filter, cursor, limit).await?;
    let currency = &shared.hub.policy().currency;
    let records = page
        .records
        .into_iter()
        .map(|found| record(found, currency));
    Ok(Json(Page {
        records: records.collect::<Result<_, _>>()?,
        next: page.next.map(|seq| seq.to_string()),
    }))
}

fn record(found: Found, currency: &str) -> Result<Record, Problem> {
    let record = serde_json::from_slice(&found.body).map_err(|error| Problem::internal(&error))?;
    Ok(Record {
        seq: found.seq,
        record,
        cost: found
            .cost_micros
            .map(|cost| Money::new(Micros(cost), currency)),
    })
}

impl From<Decision> for RecordKind {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Admit => Self::Admit,
            Decision::Complete => Self::Complete,
            Decision::Refuse => Self::Refuse,
            Decision::Event => Self::Event,
        }
    }
}
