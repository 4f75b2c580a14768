//! A client that sends what it is told, odd header bytes and odd pieces included.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{HeaderName, HeaderValue};
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::gateway::{Exchange, GatewayError, Request, Response};
use crate::socket::SocketEnd;

/// Between two pieces of a body, so that they travel apart.
const APART: Duration = Duration::from_millis(1);
/// After so many pieces the rest need not travel apart.
const MOST_APART: usize = 300;

/// What a client has got so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Mutex<Vec<u8>>>);

impl Progress {
    pub(super) fn body(&self) -> Vec<u8> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, piece: &[u8]) {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.extend_from_slice(piece);
    }
}

pub(super) async fn call(to: SocketAddr, request: &Request) -> Result<Exchange, GatewayError> {
    call_watched(to, request.clone(), Progress::default()).await
}

/// One request on a connection of its own.
pub(super) async fn call_watched(
    to: SocketAddr,
    request: Request,
    progress: Progress,
) -> Result<Exchange, GatewayError> {
    let socket = TcpSocket::new_v4()?;
    if let Some(from) = request.from {
        socket.bind((from, 0).into())?;
    }
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    let unsendable = |error: &dyn std::fmt::Display| GatewayError::Unsendable(error.to_string());
    let handshake = hyper::client::conn::http1::Builder::new()
        .handshake(TokioIo::new(stream))
        .await;
    let (mut sender, connection) = handshake.map_err(|error| unsendable(&error))?;
    let connection = tokio::spawn(connection);
    let message = message(&request)?;
    let mut exchange = Exchange::default();
    // A gateway that hangs up has answered nothing.
    if let Ok(answer) = sender.send_request(message).await {
        exchange.response = Some(receive(answer, request.leaves_after, &progress).await);
    }
    drop(sender);
    connection.abort();
    Ok(exchange)
}

/// Asks for a WebSocket; `end` is the client's end of it.
pub(super) async fn open_socket(
    to: SocketAddr,
    request: &Request,
    end: Arc<SocketEnd>,
) -> Result<Exchange, GatewayError> {
    let stream = TcpSocket::new_v4()?.connect(to).await?;
    stream.set_nodelay(true)?;
    let unsendable = |error: &dyn std::fmt::Display| GatewayError::Unsendable(error.to_string());
    let handshake = hyper::client::conn::http1::Builder::new()
        .handshake(TokioIo::new(stream))
        .await;
    let (mut sender, connection) = handshake.map_err(|error| unsendable(&error))?;
    tokio::spawn(connection.with_upgrades());
    let mut message = message(request)?;
    message.headers_mut().remove(hyper::header::CONTENT_LENGTH);
    let mut exchange = Exchange::default();
    let Ok(mut answer) = sender.send_request(message).await else {
        return Ok(exchange);
    };
    if answer.status() != hyper::StatusCode::SWITCHING_PROTOCOLS {
        let got = receive(answer, None, &Progress::default()).await;
        exchange.response = Some(got);
        return Ok(exchange);
    }
    let upgrade = hyper::upgrade::on(&mut answer);
    exchange.response = Some(Response {
        status: answer.status().as_u16(),
        headers: answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect(),
        complete: true,
        ..Response::default()
    });
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            end.converse(TokioIo::new(upgraded)).await;
        }
    });
    Ok(exchange)
}

async fn receive(
    answer: hyper::Response<hyper::body::Incoming>,
    leaves_after: Option<usize>,
    progress: &Progress,
) -> Response {
    let (parts, mut body) = answer.into_parts();
    let mut response = Response {
        status: parts.status.as_u16(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect(),
        ..Response::default()
    };
    loop {
        if leaves_after.is_some_and(|bytes| response.body.len() >= bytes) {
            return response;
        }
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Some(piece) = frame.data_ref() {
                    progress.add(piece);
                    response.body.extend_from_slice(piece);
                }
            }
            Some(Err(_)) => return response,
            None => {
                response.complete = true;
                return response;
            }
        }
    }
}

type Body = StreamBody<ReceiverStream<Result<Frame<Bytes>, io::Error>>>;

fn message(request: &Request) -> Result<hyper::Request<Body>, GatewayError> {
    let unsendable = |what: &str| GatewayError::Unsendable(what.to_owned());
    let (pieces, body) = mpsc::channel(1);
    let mut message = hyper::Request::new(StreamBody::new(ReceiverStream::new(body)));
    *message.method_mut() = request
        .method
        .parse()
        .map_err(|_| unsendable("the method"))?;
    *message.uri_mut() = request.path.parse().map_err(|_| unsendable("the path"))?;
    let headers = message.headers_mut();
    headers.insert("host", HeaderValue::from_static("gateway.test"));
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsendable(name))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| unsendable("a header's value"))?;
        headers.append(name, value);
    }
    let length: usize = request.body.iter().map(Vec::len).sum();
    if !request.chunked && (length > 0 || request.method == "POST") {
        headers.insert("content-length", HeaderValue::from(length));
    }
    if length == 0 && request.method == "GET" {
        headers.insert("content-length", HeaderValue::from(0));
    }
    let body = request.body.clone();
    tokio::spawn(async move {
        for (at, piece) in body.into_iter().enumerate() {
            if pieces.send(Ok(Frame::data(piece.into()))).await.is_err() {
                return;
            }
            if at < MOST_APART {
                tokio::time::sleep(APART).await;
            }
        }
    });
    Ok(message)
}
