//! A provider on real connections: one address for each upstream of a policy. It answers what
//! it was told and notes what it saw.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

use crate::gateway::{Answer, AnswerEnd, Seen};
use crate::sidecar::LogProbe;
use crate::socket::SocketEnd;

/// Between two pieces of a body, so that they travel apart.
const APART: Duration = Duration::from_millis(1);
/// After so many pieces the rest need not travel apart.
const MOST_APART: usize = 300;

/// All upstreams of a policy.
#[derive(Debug)]
pub struct Stub {
    addresses: BTreeMap<String, SocketAddr>,
    shared: Arc<Shared>,
    listening: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    answer: Mutex<Answer>,
    seen: Mutex<Vec<Seen>>,
    probe: LogProbe,
    turn: Mutex<Arc<Turn>>,
    /// The provider's end of the WebSocket that was opened last.
    socket: Mutex<Arc<SocketEnd>>,
}

/// How one answer comes to its end.
#[derive(Debug, Default)]
struct Turn {
    /// All but its last byte has been sent...
    almost_done: Notify,
    /// ...and the last may be.
    go_on: Notify,
}

type Body = StreamBody<ReceiverStream<Result<Frame<Bytes>, io::Error>>>;

impl Stub {
    /// Listens for each upstream at a free port of the loopback address.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(upstreams: &[String], probe: LogProbe) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            answer: Mutex::default(),
            seen: Mutex::default(),
            probe,
            turn: Mutex::default(),
            socket: Mutex::default(),
        });
        let mut stub = Self {
            addresses: BTreeMap::new(),
            shared,
            listening: Vec::new(),
        };
        for name in upstreams {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            stub.addresses.insert(name.clone(), listener.local_addr()?);
            let listening = listen(listener, name.clone(), Arc::clone(&stub.shared));
            stub.listening.push(tokio::spawn(listening));
        }
        Ok(stub)
    }

    /// Where each upstream is.
    #[must_use]
    pub const fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    /// What is answered from now on; forgets what was seen before.
    pub fn prepare(&self, answer: &Answer) {
        *lock(&self.shared.answer) = answer.clone();
        lock(&self.shared.seen).clear();
        *lock(&self.shared.turn) = Arc::default();
    }

    /// The provider's end of the next WebSocket.
    pub fn prepare_socket(&self) -> Arc<SocketEnd> {
        let end = Arc::new(SocketEnd::default());
        *lock(&self.shared.socket) = Arc::clone(&end);
        end
    }

    /// What was seen since.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// Waits until all but the last byte of an answer with a disturbance has been sent.
    pub async fn almost_done(&self) {
        let turn = Arc::clone(&lock(&self.shared.turn));
        turn.almost_done.notified().await;
    }

    /// Lets the last byte go.
    pub fn go_on(&self) {
        lock(&self.shared.turn).go_on.notify_one();
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.listening.iter().for_each(JoinHandle::abort);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(listener: TcpListener, cluster: String, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (cluster, shared) = (cluster.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let _ = serve(stream, &cluster, &shared).await;
        });
    }
}

/// Why a connection is closed instead of answered.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("no answer, on purpose")]
    OnPurpose,
    #[error(transparent)]
    Request(#[from] hyper::Error),
}

async fn serve(stream: TcpStream, cluster: &str, shared: &Arc<Shared>) -> hyper::Result<()> {
    let _ = stream.set_nodelay(true);
    let service = service_fn(async |request: hyper::Request<Incoming>| {
        let request = if request.headers().contains_key(hyper::header::UPGRADE) {
            let mut request = request;
            let upgrade = hyper::upgrade::on(&mut request);
            let end = Arc::clone(&lock(&shared.socket));
            tokio::spawn(async move {
                if let Ok(upgraded) = upgrade.await {
                    end.converse(TokioIo::new(upgraded)).await;
                }
            });
            note(request, cluster, shared).await?;
            return Ok(agree());
        } else {
            request
        };
        note(request, cluster, shared).await?;
        let answer = lock(&shared.answer).of(cluster).clone();
        tokio::time::sleep(answer.after).await;
        if answer.end == AnswerEnd::Unanswered {
            return Err(Unanswered::OnPurpose);
        }
        Ok(respond(answer, shared))
    });
    hyper::server::conn::http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await
}

async fn note(
    request: hyper::Request<Incoming>,
    cluster: &str,
    shared: &Shared,
) -> hyper::Result<()> {
    // Asked first: what is not on record when the request is here came too late.
    let log_size = shared.probe.size().await;
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let headers = parts.headers.iter();
    lock(&shared.seen).push(Seen {
        cluster: cluster.to_owned(),
        method: parts.method.to_string(),
        path: parts
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect(),
        body: body.to_vec(),
        log_size,
    });
    Ok(())
}

/// Agrees to a WebSocket.
fn agree() -> hyper::Response<Body> {
    let (_, body) = mpsc::channel(1);
    let mut response = hyper::Response::new(StreamBody::new(ReceiverStream::new(body)));
    *response.status_mut() = hyper::StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

fn respond(answer: Answer, shared: &Arc<Shared>) -> hyper::Response<Body> {
    let length: usize = answer.body.iter().map(Vec::len).sum();
    let (pieces, body) = mpsc::channel(1);
    let mut response = hyper::Response::new(StreamBody::new(ReceiverStream::new(body)));
    if let Ok(status) = hyper::StatusCode::from_u16(answer.status) {
        *response.status_mut() = status;
    }
    for (name, value) in &answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            response.headers_mut().append(name, value);
        }
    }
    if !answer.chunked {
        let length = HeaderValue::from(length);
        response
            .headers_mut()
            .insert(hyper::header::CONTENT_LENGTH, length);
    }
    let turn = Arc::clone(&lock(&shared.turn));
    tokio::spawn(send(answer, length, pieces, turn));
    response
}

/// Sends the pieces of an answer, and ends as the answer says.
async fn send(
    answer: Answer,
    length: usize,
    to: mpsc::Sender<Result<Frame<Bytes>, io::Error>>,
    turn: Arc<Turn>,
) {
    let held_back = usize::from(answer.before_end.is_some() && length > 0);
    let mut sent = 0;
    for (at, piece) in answer.body.iter().enumerate() {
        let most = (length - held_back).saturating_sub(sent).min(piece.len());
        sent += most;
        let piece = Bytes::copy_from_slice(piece.get(..most).unwrap_or_default());
        if to.send(Ok(Frame::data(piece))).await.is_err() {
            return;
        }
        if at < MOST_APART {
            tokio::time::sleep(APART).await;
        }
    }
    if answer.before_end.is_some() {
        turn.almost_done.notify_one();
        turn.go_on.notified().await;
    }
    match answer.end {
        AnswerEnd::Whole if held_back > 0 => {
            let last = answer.body.last().and_then(|piece| piece.last().copied());
            let last: Vec<u8> = last.into_iter().collect();
            let _ = to.send(Ok(Frame::data(last.into()))).await;
        }
        AnswerEnd::Whole => {}
        AnswerEnd::Cut => {
            let cut = io::Error::new(io::ErrorKind::ConnectionReset, "cut on purpose");
            let _ = to.send(Err(cut)).await;
        }
        AnswerEnd::Never | AnswerEnd::Unanswered => to.closed().await,
    }
}
