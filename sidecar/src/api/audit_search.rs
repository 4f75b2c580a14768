use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use sekisho_domain::{Micros, RecordId, RecordKind};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::extract::Query;
use super::format::accepted;
use super::moments::moment;
use super::money::Money;
use super::page;
use super::problem::Problem;
use crate::log::search::{self, Cursor, End, Filter, Found, MOST_TEXT};
use crate::log::sheet;
use crate::store::Store;

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
    /// Of one account, by its object id.
    object_id: Option<String>,
    /// Of one department, by code.
    department: Option<String>,
    /// Of one API.
    api: Option<String>,
    /// Of one model.
    model: Option<String>,
    /// Of one call or event.
    record_id: Option<String>,
    /// Only these: `admit`, `complete`, `refuse`, `event` or `contents`.
    #[param(example = "refuse")]
    decision: Option<Decision>,
    /// Only refusals with this code.
    #[param(example = "missing_scope")]
    denial: Option<String>,
    /// Only events of this name.
    #[param(example = "user.disable")]
    event: Option<String>,
    /// Only what has ended so: `answered`, `aborted` or `unknown` (nobody knows; charged at its
    /// worst), `success` or `failure` of events; or `open`: admits of calls that have not ended.
    #[param(example = "unknown")]
    outcome: Option<Outcome>,
    /// Only records with this text in one of their values, at most 200 bytes; upper and lower
    /// case of ASCII letters are alike. No index helps: say a time as well.
    text: Option<String>,
    /// Most records of the page, 1 to 1000; default: 100. Of CSV and NDJSON: most records at all;
    /// default: no limit.
    #[param(minimum = 1)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// `json`, `csv` or `ndjson`; default: what `Accept` asks for.
    format: Option<Format>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Decision {
    /// The call was admitted.
    Admit,
    /// The call has ended.
    Complete,
    /// The call was refused.
    Refuse,
    /// It was no call: somebody changed something, or another system told something.
    Event,
    /// What was kept of its bodies was stored.
    Contents,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Open,
    Answered,
    Aborted,
    Unknown,
    Success,
    Failure,
}

/// In which form.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// A page.
    Json,
    /// All at once, a line each.
    Csv,
    /// All at once, a JSON object each.
    Ndjson,
}

const FORMATS: [(&str, Format); 3] = [
    ("application/json", Format::Json),
    ("text/csv", Format::Csv),
    ("application/x-ndjson", Format::Ndjson),
];

/// A page of records, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page {
    /// There may be fewer than asked for, or none, and a next page all the same: for one page
    /// at most 100000 records are looked at, for about a tenth of a second.
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
///
/// Newest first. As CSV or NDJSON it comes whole, however much it is, and breaks off if it cannot
/// be ended.
#[utoipa::path(
    get, path = "/v1/audit/logs/search", operation_id = "searchAuditLog", tag = "audit",
    security(("token" = [])), params(Search),
    responses(
        (status = 200, content((Page = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"))),
        (status = 400, description = "A filter is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    headers: HeaderMap,
    Query(wanted): Query<Search>,
) -> Result<Response, Problem> {
    let shared = &api.0;
    let cursor = wanted.cursor.as_deref().map(str::parse::<Cursor>);
    let cursor = cursor
        .transpose()
        .map_err(|_| Problem::bad_request("`cursor` must be `next` of a page"))?;
    let (limit, format) = (wanted.limit, wanted.format);
    let format = format.or_else(|| accepted(&headers, &FORMATS));
    let filter = filter(&api, wanted)?;
    let currency = shared.hub.policy().currency.clone();
    match format.unwrap_or(Format::Json) {
        Format::Json => {
            let limit = page::limit(limit)?;
            let page = search::search(&shared.store, &filter, cursor, limit).await?;
            let records = page.records.into_iter();
            let records = records.map(|found| record(found, &currency));
            let answer = Json(Page {
                records: records.collect::<Result<_, _>>()?,
                next: page.next.map(|cursor| cursor.to_string()),
            });
            Ok(answer.into_response())
        }
        streamed => {
            if limit == Some(0) {
                return Err(Problem::bad_request("`limit` must be at least 1"));
            }
            let left = limit.map_or(u64::MAX, u64::from);
            let rest = Rest {
                store: shared.store.clone(),
                filter,
                cursor,
                left,
                currency,
                is_csv: matches!(streamed, Format::Csv),
            };
            Ok(stream(rest))
        }
    }
}

fn filter(api: &Api, wanted: Search) -> Result<Filter, Problem> {
    let calendar = &api.0.calendar;
    let record_id = wanted.record_id.as_deref().map(|text| {
        RecordId::parse(text).ok_or_else(|| Problem::bad_request("`record_id` must be a UUID"))
    });
    let text = wanted.text;
    if text
        .as_ref()
        .is_some_and(|text| text.is_empty() || text.len() > MOST_TEXT)
    {
        let problem = format!("`text` must be 1 to {MOST_TEXT} bytes");
        return Err(Problem::bad_request(problem));
    }
    Ok(Filter {
        from: moment("from", wanted.from.as_deref(), false, calendar)?,
        to: moment("to", wanted.to.as_deref(), true, calendar)?,
        record_id: record_id.transpose()?,
        user: wanted.user,
        object_id: wanted.object_id.map(|id| id.to_ascii_lowercase()),
        department: wanted.department,
        api: wanted.api,
        model: wanted.model,
        kind: wanted.decision.map(RecordKind::from),
        denial: wanted.denial,
        event: wanted.event,
        end: wanted.outcome.map(End::from),
        text,
    })
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

/// What is to be sent still.
struct Rest {
    store: Store,
    filter: Filter,
    cursor: Option<Cursor>,
    left: u64,
    currency: String,
    is_csv: bool,
}

/// Pages one after the other: there are at most three of them in memory.
fn stream(mut rest: Rest) -> Response {
    let (pages, received) = tokio::sync::mpsc::channel(1);
    let kind = if rest.is_csv {
        "text/csv; charset=utf-8; header=present"
    } else {
        "application/x-ndjson"
    };
    tokio::spawn(async move {
        let mut is_first = true;
        loop {
            let page = rest.next(is_first).await;
            is_first = false;
            let (page, is_last) = match page {
                Ok((page, is_last)) => (Ok(Bytes::from(page)), is_last),
                Err(error) => {
                    tracing::error!(error, "a search broke off");
                    (Err(error), true)
                }
            };
            // Whoever asked may have gone.
            if pages.send(page).await.is_err() || is_last {
                return;
            }
        }
    });
    let body = Body::from_stream(ReceiverStream::new(received));
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

impl Rest {
    /// The next page, and whether it is the last.
    async fn next(&mut self, is_first: bool) -> Result<(Vec<u8>, bool), Broken> {
        let limit = u32::try_from(self.left)
            .unwrap_or(u32::MAX)
            .min(search::MOST);
        let page = search::search(&self.store, &self.filter, self.cursor, limit).await?;
        self.left = self.left.saturating_sub(page.records.len() as u64);
        self.cursor = page.next;
        let is_last = page.next.is_none() || self.left == 0;
        let bytes = if self.is_csv {
            let head = is_first.then_some(&sheet::COLUMNS[..]);
            sheet::csv(head, page.records.iter().map(sheet::line))?
        } else {
            let mut lines = Vec::new();
            for found in page.records {
                let record = record(found, &self.currency).map_err(|_| "a record is no JSON")?;
                serde_json::to_writer(&mut lines, &record)?;
                lines.push(b'\n');
            }
            lines
        };
        Ok((bytes, is_last))
    }
}

impl From<Decision> for RecordKind {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Admit => Self::Admit,
            Decision::Complete => Self::Complete,
            Decision::Refuse => Self::Refuse,
            Decision::Event => Self::Event,
            Decision::Contents => Self::Contents,
        }
    }
}

impl From<Outcome> for End {
    fn from(outcome: Outcome) -> Self {
        Self::As(match outcome {
            Outcome::Open => return Self::Open,
            Outcome::Answered => "answered",
            Outcome::Aborted => "aborted",
            Outcome::Unknown => "unknown",
            Outcome::Success => "success",
            Outcome::Failure => "failure",
        })
    }
}
