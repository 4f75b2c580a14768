//! Clients: many at a time, with random output limits, of whom some leave abruptly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::site::FOLLOWED;

/// The largest output limit that a client asks for.
const MOST_OUTPUT: u64 = 400;
/// The same for answers that budgets follow, which are long.
const MOST_FOLLOWED: u64 = 1_600;
/// Of a hundred requests so many are for such answers.
const FOLLOWERS: u8 = 10;
/// Bytes of a prompt, at least and at most.
const PROMPT: std::ops::RangeInclusive<usize> = 200..=500;
/// Of a hundred clients so many leave before they have their answer.
const LEAVERS: u8 = 4;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a client rests that was refused, milliseconds: less than it is told to
/// (`retry-after: 1`), as impatient people do.
const REST_MILLIS: std::ops::Range<u64> = 100..600;

/// What came of all requests.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) answered: AtomicU64,
    /// 429.
    pub(crate) exhausted: AtomicU64,
    /// 503.
    pub(crate) unavailable: AtomicU64,
    /// Any other status.
    pub(crate) other: AtomicU64,
    /// Clients that left.
    pub(crate) left: AtomicU64,
    /// Connections that ended before the answer did.
    pub(crate) broken: AtomicU64,
}

/// Whose requests go where.
pub(crate) struct Clients {
    pub(crate) gateways: Vec<SocketAddr>,
    /// Tokens by payer, as [`PAYERS`](crate::site::PAYERS) has them.
    pub(crate) tokens: Vec<Vec<String>>,
    pub(crate) outcomes: Outcomes,
}

/// What a client does next.
struct Request {
    gateway: SocketAddr,
    token: String,
    body: String,
    leaves_after: Option<Duration>,
}

impl Clients {
    fn next(&self, random: &mut fastrand::Rng) -> Option<Request> {
        let is_followed = random.u8(..100) < FOLLOWERS;
        let (payer, largest) = if is_followed {
            (FOLLOWED, MOST_FOLLOWED)
        } else {
            (random.usize(..2), MOST_OUTPUT)
        };
        let prompt = "x".repeat(random.usize(PROMPT));
        let leaves = random.u8(..100) < LEAVERS;
        let body = json!({
            "messages": [{"role": "user", "content": format!("{payer} {prompt}")}],
            "model": "gpt-4o",
            "max_tokens": random.u64(1..=largest),
            "stream": is_followed || random.bool(),
        });
        Some(Request {
            gateway: *random.choice(&self.gateways)?,
            token: random.choice(self.tokens.get(payer)?)?.clone(),
            body: body.to_string(),
            leaves_after: leaves.then(|| Duration::from_millis(random.u64(0..60))),
        })
    }

    /// One client after the other, until it is time to stop.
    pub(crate) async fn go_on(self: Arc<Self>, seed: u64, stop: watch::Receiver<bool>) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut connections: Vec<Option<Connection>> = Vec::new();
        connections.resize_with(self.gateways.len(), || None);
        while !*stop.borrow() {
            let Some(request) = self.next(&mut random) else {
                return;
            };
            let at = self.gateways.iter().position(|g| *g == request.gateway);
            let Some(kept) = at.and_then(|at| connections.get_mut(at)) else {
                return;
            };
            let outcome = exchange(kept, &request).await;
            let count = match outcome {
                Outcome::Answered(200) => &self.outcomes.answered,
                Outcome::Answered(429) => &self.outcomes.exhausted,
                Outcome::Answered(503) => &self.outcomes.unavailable,
                Outcome::Answered(_) => &self.outcomes.other,
                Outcome::Left => &self.outcomes.left,
                Outcome::Broken => &self.outcomes.broken,
            };
            count.fetch_add(1, Ordering::Relaxed);
            if !matches!(outcome, Outcome::Answered(200) | Outcome::Left) {
                let rest = Duration::from_millis(random.u64(REST_MILLIS));
                tokio::time::sleep(rest).await;
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered(u16),
    Left,
    Broken,
}

/// A connection that ends when it is dropped, whatever is under way on it.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    async fn open(to: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(to).await.ok()?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let driver = tokio::spawn(connection).abort_handle();
        Some(Self { sender, driver })
    }
}

async fn exchange(kept: &mut Option<Connection>, request: &Request) -> Outcome {
    let patience = request.leaves_after.unwrap_or(PATIENCE);
    let asking = ask(kept, request.gateway, &request.token, &request.body);
    match tokio::time::timeout(patience, asking).await {
        Ok(Some(status)) => return Outcome::Answered(status),
        Ok(None) => *kept = None,
        Err(_) => {
            *kept = None;
            if request.leaves_after.is_some() {
                return Outcome::Left;
            }
        }
    }
    Outcome::Broken
}

/// Sends a request and reads its whole answer; `None`: it did not come.
pub(crate) async fn ask(
    kept: &mut Option<Connection>,
    gateway: SocketAddr,
    token: &str,
    body: &str,
) -> Option<u16> {
    let heard = talk(kept, gateway, token, body).await;
    heard.whole.then_some(heard.status).flatten()
}

/// What a client hears.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// `None`: not even headers came.
    pub(crate) status: Option<u16>,
    /// The proxy's name of the request, `x-request-id`.
    pub(crate) request: Option<String>,
    /// The answer came to its end.
    pub(crate) whole: bool,
}

/// Sends a request and reads as much of its answer as comes.
pub(crate) async fn talk(
    kept: &mut Option<Connection>,
    gateway: SocketAddr,
    token: &str,
    body: &str,
) -> Heard {
    let mut heard = Heard::default();
    heard.whole = exchange_of(kept, gateway, token, body, &mut heard)
        .await
        .is_some();
    heard
}

async fn exchange_of(
    kept: &mut Option<Connection>,
    gateway: SocketAddr,
    token: &str,
    body: &str,
    heard: &mut Heard,
) -> Option<()> {
    if kept.as_ref().is_none_or(|kept| kept.sender.is_closed()) {
        *kept = Some(Connection::open(gateway).await?);
    }
    let connection = kept.as_mut()?;
    let request = hyper::Request::post("/v1/chat/completions")
        .header("host", "gateway.test")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .ok()?;
    connection.sender.ready().await.ok()?;
    let response = connection.sender.send_request(request).await.ok()?;
    heard.status = Some(response.status().as_u16());
    let id = response.headers().get("x-request-id");
    heard.request = id.and_then(|id| id.to_str().ok()).map(str::to_owned);
    response.into_body().collect().await.ok()?;
    Some(())
}
