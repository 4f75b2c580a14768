//! Stands in for a provider, and meters what it serves.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::site::{FOLLOWED, INPUT_PRICE, OUTPUT_PRICE, PAYERS};

/// The longest that a piece of an answer lets wait.
const SLOWEST_MILLIS: u64 = 25;
/// Tokens of an event of a followed answer, one for each byte of its text: the worst that text
/// can be.
const EVENT_TOKENS: u64 = 16;

/// What has been served to one department.
#[derive(Debug, Default)]
pub(crate) struct Served {
    pub(crate) requests: AtomicU64,
    pub(crate) tokens: AtomicU64,
    pub(crate) micros: AtomicU64,
}

/// The meter.
pub(crate) struct StandIn {
    random: Mutex<fastrand::Rng>,
    /// By the number with which a prompt begins.
    pub(crate) by_payer: [Served; PAYERS.len()],
    /// The requests that came, by the name that the proxy gave them (`x-request-id`).
    calls: Mutex<Vec<String>>,
}

#[derive(Deserialize)]
struct Asked {
    max_tokens: u64,
    #[serde(default)]
    stream: bool,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

/// What is made for a request.
struct Order {
    input: u64,
    output: u64,
    is_followed: bool,
}

type Body = StreamBody<ReceiverStream<Result<Frame<Bytes>, Infallible>>>;

impl StandIn {
    /// Begins to serve; as long as the process lives.
    pub(crate) async fn start(seed: u64) -> io::Result<(SocketAddr, Arc<Self>)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let stand_in = Arc::new(Self {
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            by_payer: Default::default(),
            calls: Mutex::default(),
        });
        let serving = Arc::clone(&stand_in);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Ok((address, stand_in))
    }

    /// The requests that have come.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.clone()
    }

    fn note(&self, request: &hyper::HeaderMap) {
        let id = request.get("x-request-id");
        let id = id.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        // One without a name cannot be on record: it counts as such.
        calls.push(id.unwrap_or_default());
    }

    /// The first word of a prompt says which department asks.
    pub(crate) fn served(&self, payer: usize) -> Option<&Served> {
        self.by_payer.get(payer)
    }

    /// Decides and meters what a request gets: also if nobody stays to read it, because a
    /// provider sends its bill all the same. Followed answers are metered as they are written,
    /// which ends when nobody reads them.
    fn serve(&self, asked: &Asked) -> Option<Order> {
        let prompt = &asked.messages.first()?.content;
        let payer: usize = prompt.split(' ').next()?.parse().ok()?;
        let output = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            random.u64(asked.max_tokens.div_ceil(2)..=asked.max_tokens)
        };
        // The worst that a prompt can be: a token for each byte.
        let input = u64::try_from(prompt.len()).ok()?;
        let served = self.served(payer)?;
        served.requests.fetch_add(1, Ordering::SeqCst);
        let is_followed = payer == FOLLOWED;
        let at_once = if is_followed { 0 } else { output };
        served.tokens.fetch_add(input + at_once, Ordering::SeqCst);
        let micros = input * INPUT_PRICE + at_once * OUTPUT_PRICE;
        served.micros.fetch_add(micros, Ordering::SeqCst);
        Some(Order {
            input,
            output,
            is_followed,
        })
    }

    fn wait(&self) -> Duration {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_millis(random.u64(0..=SLOWEST_MILLIS))
    }
}

async fn serve(stream: TcpStream, stand_in: Arc<StandIn>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(async |request: hyper::Request<Incoming>| {
        stand_in.note(request.headers());
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(answer(&stand_in, &body))
    });
    // Whoever hangs up has been metered already.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(stand_in: &Arc<StandIn>, body: &[u8]) -> hyper::Response<Body> {
    let (pieces, receiver) = mpsc::channel(1);
    let mut response = hyper::Response::new(StreamBody::new(ReceiverStream::new(receiver)));
    let asked: Option<Asked> = serde_json::from_slice(body).ok();
    let Some((asked, order)) = asked.and_then(|asked| {
        let order = stand_in.serve(&asked)?;
        Some((asked, order))
    }) else {
        *response.status_mut() = hyper::StatusCode::BAD_REQUEST;
        return response;
    };
    let Order {
        input,
        output,
        is_followed,
    } = order;
    let usage = json!({"prompt_tokens": input, "completion_tokens": output,
                       "total_tokens": input + output});
    let kind = if asked.stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    let kind = hyper::header::HeaderValue::from_static(kind);
    let headers = response.headers_mut();
    headers.insert(hyper::header::CONTENT_TYPE, kind);
    let texts = if is_followed {
        followed(&usage, output)
    } else if asked.stream {
        stream(&usage)
    } else {
        whole(&usage)
    };
    let stand_in = Arc::clone(stand_in);
    tokio::spawn(async move {
        for Piece { text, tokens } in texts {
            tokio::time::sleep(stand_in.wait()).await;
            if pieces.is_closed() {
                return;
            }
            if let Some(served) = stand_in.served(FOLLOWED) {
                served.tokens.fetch_add(tokens, Ordering::SeqCst);
            }
            if pieces.send(Ok(Frame::data(text.into()))).await.is_err() {
                return;
            }
        }
    });
    response
}

/// A piece of an answer, and the tokens that are metered when it is written.
struct Piece {
    text: String,
    tokens: u64,
}

impl From<String> for Piece {
    fn from(text: String) -> Self {
        Self { text, tokens: 0 }
    }
}

/// One JSON text in two pieces.
fn whole(usage: &serde_json::Value) -> Vec<Piece> {
    let message = json!({"role": "assistant", "content": "A checkpoint."});
    let text = json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage,
    })
    .to_string();
    let (start, end) = text.split_at(text.len() / 2);
    vec![start.to_owned().into(), end.to_owned().into()]
}

fn stream(usage: &serde_json::Value) -> Vec<Piece> {
    vec![
        event(&delta("A ", None), None).into(),
        event(&delta("checkpoint.", Some("stop")), None).into(),
        event(&json!([]), Some(usage)).into(),
        "data: [DONE]\n\n".to_owned().into(),
    ]
}

/// A long answer, a token for each byte of its text.
fn followed(usage: &serde_json::Value, output: u64) -> Vec<Piece> {
    let steps = (0..output).step_by(usize::try_from(EVENT_TOKENS).unwrap_or(1));
    let texts = steps.map(|from| {
        let tokens = EVENT_TOKENS.min(output - from);
        let text = "x".repeat(usize::try_from(tokens).unwrap_or(0));
        Piece {
            text: event(&delta(&text, None), None),
            tokens,
        }
    });
    let end = [
        event(&delta("", Some("stop")), None),
        event(&json!([]), Some(usage)),
        "data: [DONE]\n\n".to_owned(),
    ];
    texts.chain(end.map(Piece::from)).collect()
}

fn delta(text: &str, end: Option<&str>) -> serde_json::Value {
    json!([{"index": 0, "delta": {"content": text}, "finish_reason": end}])
}

fn event(choices: &serde_json::Value, usage: Option<&serde_json::Value>) -> String {
    let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1,
                       "model": "gpt-4o", "choices": choices, "usage": usage});
    format!("data: {chunk}\n\n")
}
