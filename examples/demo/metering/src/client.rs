//! Makes the calls, and leaves those that are to be left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;

use crate::mix::{Ending, Planned};

pub(crate) type Http = Client<HttpConnector, Full<Bytes>>;

/// A gateway that has no place on record for a call refuses it; the client may come again.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

/// What came of all calls, as their clients saw it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Calls that had an answer, whole or in part.
    pub(crate) answered: u64,
    /// Refusals of the gateway's own, by its code, each attempt counted.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Calls that were refused to the last attempt.
    pub(crate) given_up: u64,
    /// What went wrong otherwise.
    pub(crate) errors: Vec<String>,
}

/// Makes all calls, so many at a time.
pub(crate) async fn run(
    calls: Arc<Vec<Planned>>,
    gateway: &str,
    token: &str,
    at_a_time: usize,
) -> Seen {
    let next = Arc::new(AtomicUsize::new(0));
    let mut lanes = JoinSet::new();
    for _ in 0..at_a_time {
        let lane = Lane {
            http: http(),
            gateway: gateway.to_owned(),
            authorization: format!("Bearer {token}"),
            seen: Seen::default(),
        };
        lanes.spawn(lane.run(Arc::clone(&calls), Arc::clone(&next)));
    }
    let mut all = Seen::default();
    while let Some(lane) = lanes.join_next().await {
        match lane {
            Ok(seen) => all.add(seen),
            Err(error) => all.errors.push(error.to_string()),
        }
    }
    all
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.answered = self.answered.saturating_add(other.answered);
        self.given_up = self.given_up.saturating_add(other.given_up);
        self.errors.extend(other.errors);
        for (code, count) in other.refused {
            let sum = self.refused.entry(code).or_default();
            *sum = sum.saturating_add(count);
        }
    }
}

struct Lane {
    http: Http,
    gateway: String,
    authorization: String,
    seen: Seen,
}

impl Lane {
    async fn run(mut self, calls: Arc<Vec<Planned>>, next: Arc<AtomicUsize>) -> Seen {
        while let Some(call) = calls.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut passed = false;
            for _ in 0..ATTEMPTS {
                let attempt = tokio::time::timeout(PATIENCE, self.attempt(call)).await;
                passed = match attempt {
                    Ok(Ok(passed)) => passed,
                    Ok(Err(sentence)) => {
                        self.seen.errors.push(sentence);
                        true
                    }
                    Err(_elapsed) => {
                        let sentence = format!("{}: no end in {PATIENCE:?}", call.shape.name);
                        self.seen.errors.push(sentence);
                        true
                    }
                };
                if passed {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
            if passed {
                self.seen.answered = self.seen.answered.saturating_add(1);
            } else {
                self.seen.given_up = self.seen.given_up.saturating_add(1);
            }
        }
        self.seen
    }

    /// One call; `false` if the gateway itself refused it.
    async fn attempt(&mut self, call: &Planned) -> Result<bool, String> {
        let named = |what: String| format!("{}: {what}", call.shape.name);
        let (content_type, body) = call.body();
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{}", self.gateway, call.shape.path))
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, content_type)
            .header("anthropic-version", "2023-06-01")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| named(error.to_string()))?;
        let answer = self
            .http
            .request(request)
            .await
            .map_err(|error| named(format!("no answer: {error}")))?;
        let status = answer.status().as_u16();
        if let Some(code) = answer.headers().get("x-sekisho-denial") {
            let code = String::from_utf8_lossy(code.as_bytes()).into_owned();
            let count = self.seen.refused.entry(code.clone()).or_default();
            *count = count.saturating_add(1);
            // Whoever asks for what may not be asked does so every time.
            if status < 500 && status != 429 {
                return Err(named(format!("refused with {status} `{code}`")));
            }
            return Ok(false);
        }
        if (status >= 400) != (call.ending == Ending::Refused) {
            return Err(named(format!("answered with {status}")));
        }
        self.read(call, answer.into_body()).await;
        Ok(true)
    }

    /// Reads the answer, to its end or as far as the client stays.
    async fn read(&self, call: &Planned, mut body: hyper::body::Incoming) {
        let stays = match call.ending {
            Ending::Leaves(bytes) => bytes,
            _ => usize::MAX,
        };
        let mut had = 0_usize;
        while had <= stays {
            match body.frame().await {
                Some(Ok(frame)) => {
                    had = had.saturating_add(frame.data_ref().map_or(0, Bytes::len));
                }
                // The end, or what is left of it when the provider broke it off.
                None | Some(Err(_)) => break,
            }
        }
    }
}
