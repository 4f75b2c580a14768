//! The way to Microsoft Graph and back.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response};
use sekisho_domain::UnixMillis;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::batch;
use super::call::{Call, Reply};
use super::config::EntraConfig;
use super::fault::GraphError;
use super::pace::Pace;
use crate::azure_token::Tokens;
use crate::clock::Clock;
use crate::forward::{Trouble, http};
use crate::vitals::Pulse;

/// For an answer: a batch of 20 creations takes its time.
const PATIENCE: Duration = Duration::from_secs(60);
/// Largest answer, bytes: a page of 999 users has a megabyte.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// Most pages of one list: ten million users.
const MOST_PAGES: usize = 10_000;

/// A tenant of Entra ID, over Microsoft Graph; cheap to clone.
#[derive(Clone, Debug)]
pub struct Graph(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Up to the version of the API, without a `/` at its end.
    root: Url,
    tokens: Tokens,
    client: Client,
    clock: Clock,
    patience: Duration,
    pulse: Pulse,
}

impl Graph {
    /// Over there nothing is asked yet.
    ///
    /// # Errors
    /// [`Trouble`] if nothing can ever be asked: no secret, no certificate, no authorities.
    pub fn new(config: &EntraConfig, clock: &Clock) -> Result<Self, Trouble> {
        let client = http::client(config.authorities.as_deref())?;
        let tokens = Tokens::new(
            &config.credential,
            &config.resource,
            client.clone(),
            clock.clone(),
        )?;
        Ok(Self(Arc::new(Shared {
            root: config.root.clone(),
            tokens,
            client,
            clock: clock.clone(),
            patience: config.patience.unwrap_or(PATIENCE),
            pulse: Pulse::default(),
        })))
    }

    /// How Graph is.
    #[must_use]
    pub fn pulse(&self) -> &Pulse {
        &self.0.pulse
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.0.clock.now()
    }

    /// The URL of an object, as members are named.
    pub(super) fn object_url(&self, id: &str) -> String {
        format!("{}/directoryObjects/{id}", self.0.root)
    }

    /// Asks once. A token that is refused is replaced once.
    pub(super) async fn once(&self, call: &Call) -> Result<Reply, GraphError> {
        let outcome = self.try_once(call).await;
        self.note(&outcome);
        outcome
    }

    /// Whoever refuses one call works; whoever answers none, or none now, does not.
    fn note(&self, outcome: &Result<Reply, GraphError>) {
        let (pulse, now) = (&self.0.pulse, self.now());
        match outcome {
            Ok(Reply { status, .. }) if matches!(status, 401 | 429 | 500..=599) => {
                pulse.failed(now, format!("it answers {status}"));
            }
            Ok(_) => {
                pulse.well(now);
            }
            Err(error) => {
                pulse.failed(now, error.to_string());
            }
        }
    }

    async fn try_once(&self, call: &Call) -> Result<Reply, GraphError> {
        let shared = &*self.0;
        let bearer = self.bearer().await?;
        let reply = self.send(call, bearer.clone()).await?;
        if reply.status != 401 {
            return Ok(reply);
        }
        // It may have been revoked before its end.
        shared.tokens.forget(&bearer).await;
        let bearer = self.bearer().await?;
        self.send(call, bearer).await
    }

    async fn bearer(&self) -> Result<HeaderValue, GraphError> {
        let bearer = self.0.tokens.bearer().await;
        bearer.map_err(|trouble| GraphError::NotSent(trouble.sentence()))
    }

    async fn send(&self, call: &Call, bearer: HeaderValue) -> Result<Reply, GraphError> {
        let shared = &*self.0;
        // Text onto text: a parsed URL would read `..` in it.
        let url = Url::parse(&format!("{}{}", shared.root, call.path));
        let url = url.map_err(|_| GraphError::ForeignLink)?;
        let mut request = shared
            .client
            .request(call.method.clone(), url)
            .timeout(shared.patience)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(AUTHORIZATION, bearer);
        if let Some(body) = &call.body {
            let json = HeaderValue::from_static("application/json");
            request = request.header(CONTENT_TYPE, json).body(body.to_string());
        }
        let answer = request.send().await.map_err(|error| {
            let never_left = error.is_connect() || error.is_builder();
            let why = Trouble::from(error).sentence();
            match never_left {
                true => GraphError::NotSent(why),
                false => GraphError::Lost(why),
            }
        })?;
        reply(answer, shared.clock.now()).await
    }

    /// Asks all of them once, in batches one after the other; their replies in their order. A
    /// batch that fails is the fault of each of its calls.
    pub(super) async fn batch(&self, calls: &[Call]) -> Vec<Result<Reply, GraphError>> {
        if let [call] = calls {
            return vec![self.once(call).await];
        }
        let mut replies = Vec::with_capacity(calls.len());
        for calls in calls.chunks(batch::MOST) {
            match self.one_batch(calls).await {
                Ok(answered) => replies.extend(answered),
                Err(error) => replies.extend(calls.iter().map(|_| Err(error.clone()))),
            }
        }
        replies
    }

    async fn one_batch(
        &self,
        calls: &[Call],
    ) -> Result<Vec<Result<Reply, GraphError>>, GraphError> {
        let call = Call::post("/$batch".to_owned(), Some(batch::body(calls)));
        let reply = self.once(&call).await?;
        let replies = batch::replies(reply.yes()?, calls.len(), self.now())?;
        let lost = || GraphError::Lost("a part of it is missing".to_owned());
        Ok(replies.into_iter().map(|r| r.ok_or_else(lost)).collect())
    }

    /// Asks until it is answered with 2xx, in this pace. For calls that may be carried out twice.
    pub(super) async fn ask(&self, call: &Call, pace: Pace) -> Result<Value, GraphError> {
        self.reply(call, pace).await?.yes()
    }

    /// Asks until it is answered, be it with a refusal.
    pub(super) async fn reply(&self, call: &Call, pace: Pace) -> Result<Reply, GraphError> {
        let mut failures = 0;
        loop {
            let outcome = self.once(call).await;
            let trouble = match &outcome {
                Ok(reply) => reply.clone().yes().err(),
                Err(error) => Some(error.clone()),
            };
            let Some(trouble) = trouble.filter(GraphError::may_pass) else {
                return outcome;
            };
            failures += 1;
            let random = getrandom::u64().unwrap_or_default();
            match pace.rest(failures, trouble.told(), random) {
                Some(rest) => tokio::time::sleep(rest).await,
                None => return Err(trouble),
            }
        }
    }

    /// Every entry of a list, page by page.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        path: String,
        pace: Pace,
    ) -> Result<Vec<T>, GraphError> {
        let mut entries = Vec::new();
        let mut path = path;
        for _ in 0..MOST_PAGES {
            let body = self.ask(&Call::get(path.clone()), pace).await?;
            let page: Page<T> = serde_json::from_value(body).map_err(|_| GraphError::Unreadable)?;
            entries.extend(page.value);
            let Some(next) = page.next else {
                return Ok(entries);
            };
            let next = self.relative(&next)?;
            if next == path {
                return Err(GraphError::Unreadable);
            }
            path = next;
        }
        Err(GraphError::Unreadable)
    }

    /// The path of a link to the next page. Our token goes nowhere else.
    pub(super) fn relative(&self, link: &str) -> Result<String, GraphError> {
        let root = &self.0.root;
        let url = Url::parse(link).map_err(|_| GraphError::ForeignLink)?;
        let same =
            url.origin() == root.origin() && url.username().is_empty() && url.password().is_none();
        let rest = url.path().strip_prefix(root.path());
        match rest.filter(|rest| same && rest.starts_with('/')) {
            Some(rest) => Ok(match url.query() {
                Some(query) => format!("{rest}?{query}"),
                None => rest.to_owned(),
            }),
            None => Err(GraphError::ForeignLink),
        }
    }
}

/// A page of a list (OData 4.01, JSON format, section 13).
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    pub(super) next: Option<String>,
}

async fn reply(mut answer: Response, now: UnixMillis) -> Result<Reply, GraphError> {
    let status = answer.status().as_u16();
    let retry_after = http::retry_after(answer.headers(), now);
    let lost = |error: reqwest::Error| GraphError::Lost(Trouble::from(error).sentence());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(GraphError::Unreadable);
        }
        body.extend_from_slice(&chunk);
    }
    let body = match serde_json::from_slice(&body) {
        Ok(body) => body,
        // Errors of whatever stands before Graph are no JSON.
        Err(_) if body.is_empty() || status >= 400 => Value::Null,
        Err(_) => return Err(GraphError::Lost("a part of it is missing".to_owned())),
    };
    Ok(Reply {
        status,
        body,
        retry_after,
    })
}
