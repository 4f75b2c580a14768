//! Two accounts of the same calls: what the stand-ins say that they served, and what the sidecar
//! has on record.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::Http;
use crate::usage::Usage;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("`{url}` does not answer: {why}; is the demo running?")]
    Silent { url: String, why: String },
    #[error("`{url}` answered with {status}: {text}")]
    Refused {
        url: String,
        status: u16,
        text: String,
    },
    #[error("`{url}` answered with something else: {source}")]
    Odd {
        url: String,
        #[source]
        source: serde_json::Error,
    },
}

/// A call as a stand-in noted it.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) number: Option<u64>,
    pub(crate) request_id: Option<String>,
    pub(crate) usage: Usage,
    pub(crate) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Answered with success, to the end.
    Complete,
    /// Answered with an error.
    Error,
    /// Broken off, by whomever.
    Aborted,
    InProgress,
}

/// A call's completion as the sidecar has it.
#[derive(Debug, Clone)]
pub(crate) struct Charged {
    pub(crate) request_id: String,
    pub(crate) api: String,
    pub(crate) model: String,
    pub(crate) outcome: String,
    /// Every figure was the provider's own.
    pub(crate) reported: bool,
    pub(crate) usage: Usage,
    /// In millionths of the currency.
    pub(crate) cost: u64,
}

#[derive(Deserialize)]
struct Report {
    calls: Vec<Value>,
}

/// All calls that the stand-ins have had.
pub(crate) async fn served(http: &Http, providers: &str) -> Result<Vec<Served>, AccountError> {
    let url = format!("{providers}/__demo/served");
    let report: Report = get(http, &url, None).await?;
    Ok(report.calls.iter().map(one_served).collect())
}

fn one_served(call: &Value) -> Served {
    let number = |name: &str| call.get(name).and_then(Value::as_u64);
    let text = |name: &str| call.get(name).and_then(Value::as_str);
    Served {
        number: number("number"),
        request_id: text("request_id").map(str::to_owned),
        usage: Usage::of(|kind| number(&format!("{kind}_tokens"))),
        state: match text("state") {
            Some("complete") if number("status").is_some_and(|it| it < 400) => State::Complete,
            Some("complete") => State::Error,
            Some("aborted") => State::Aborted,
            _ => State::InProgress,
        },
    }
}

#[derive(Deserialize)]
struct Page {
    records: Vec<Found>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Found {
    record: Value,
}

/// All completions since a moment (RFC 3339).
pub(crate) async fn charged(
    http: &Http,
    sidecar: &str,
    token: &str,
    since: &str,
) -> Result<Vec<Charged>, AccountError> {
    let search =
        format!("{sidecar}/v1/audit/logs/search?decision=complete&limit=1000&from={since}");
    let mut all = Vec::new();
    let mut url = search.clone();
    loop {
        let page: Page = get(http, &url, Some(token)).await?;
        all.extend(page.records.iter().map(|found| one_charged(&found.record)));
        let Some(next) = page.next else {
            return Ok(all);
        };
        url = format!("{search}&cursor={next}");
    }
}

fn one_charged(record: &Value) -> Charged {
    let text = |pointer: &str| {
        let found = record.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let number = |pointer: &str| record.pointer(pointer).and_then(Value::as_u64);
    Charged {
        request_id: text("/call/request_id"),
        api: text("/call/api"),
        model: text("/call/model"),
        outcome: text("/outcome"),
        reported: text("/usage_source") == "reported",
        usage: Usage::of(|kind| number(&format!("/usage/{kind}"))),
        cost: number("/cost_micros").unwrap_or(0),
    }
}

async fn get<T: DeserializeOwned>(
    http: &Http,
    url: &str,
    token: Option<&str>,
) -> Result<T, AccountError> {
    let silent = |why: String| AccountError::Silent {
        url: url.to_owned(),
        why,
    };
    let mut request = Request::get(url);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request
        .body(Full::new(Bytes::new()))
        .map_err(|error| silent(error.to_string()))?;
    let asked = tokio::time::timeout(Duration::from_secs(30), http.request(request)).await;
    let answer = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(silent(error.to_string())),
        Err(elapsed) => return Err(silent(elapsed.to_string())),
    };
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await;
    let body = body.map_err(|error| silent(error.to_string()))?.to_bytes();
    if status >= 400 {
        let text = String::from_utf8_lossy(&body).into_owned();
        return Err(AccountError::Refused {
            url: url.to_owned(),
            status,
            text,
        });
    }
    serde_json::from_slice(&body).map_err(|source| AccountError::Odd {
        url: url.to_owned(),
        source,
    })
}
