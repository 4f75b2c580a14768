//! Connections: answers whole, late, cut off, or not at all.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::StandIn;
use crate::answer::Answer;
use crate::faults::Fate;

/// Largest request, bytes.
const MOST_BYTES: usize = 4 << 20;
/// Path of Graph's version.
const VERSION: &str = "/v1.0";

/// An answer and how it gets there.
pub(super) struct Delivery {
    /// `None`: nothing was done.
    pub(super) answer: Option<Answer>,
    pub(super) fate: Fate,
    pub(super) slow: Duration,
}

impl Delivery {
    pub(super) const fn whole(answer: Answer) -> Self {
        Self {
            answer: Some(answer),
            fate: Fate::Answered,
            slow: Duration::ZERO,
        }
    }
}

pub(super) async fn serve(stand_in: StandIn, listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let stand_in = stand_in.clone();
        tokio::spawn(async move {
            // Whoever goes away goes.
            let _ = connection(stand_in, stream).await;
        });
    }
}

async fn connection(stand_in: StandIn, stream: TcpStream) -> hyper::Result<()> {
    let service = service_fn(move |request| respond(stand_in.clone(), request));
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
}

/// The connection ends here.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed")]
struct Closed;

/// A body that breaks off, or does not.
type Body = http_body_util::Either<Full<Bytes>, Broken>;

async fn respond(stand_in: StandIn, request: Request<Incoming>) -> Result<Response<Body>, Closed> {
    let (parts, body) = request.into_parts();
    let header = |name| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let host = header(HOST).unwrap_or("127.0.0.1").to_owned();
    let authorization = header(AUTHORIZATION).unwrap_or_default().to_owned();
    let is_json = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json"));
    let body = Limited::new(body, MOST_BYTES).collect().await;
    let body = body.map_err(|_| Closed)?.to_bytes();
    let path = parts.uri.path();
    let target = parts.uri.path_and_query().map(|target| target.as_str());
    let graph = target.and_then(|target| target.strip_prefix(VERSION));
    let delivery = if path.ends_with("/oauth2/v2.0/token") {
        stand_in.token(&body, &format!("http://{host}{path}"))
    } else if let Some(target) = graph {
        let read = match body.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(&body),
        };
        match read {
            Ok(value) if value.is_null() || is_json => {
                let root = format!("http://{host}{VERSION}");
                stand_in.answer(
                    (parts.method.as_str(), target),
                    &authorization,
                    value,
                    &root,
                )
            }
            _ => Delivery::whole(Answer::error(400, "BadRequest", "the body is no JSON")),
        }
    } else {
        stand_in.control(&parts.method, path, &body)
    };
    tokio::time::sleep(delivery.slow).await;
    let Some(answer) = delivery.answer else {
        return Err(Closed);
    };
    if delivery.fate == Fate::Lost {
        return Err(Closed);
    }
    let text = match &answer.body {
        Value::Null => Bytes::new(),
        body => Bytes::from(body.to_string()),
    };
    let body = match delivery.fate {
        Fate::Cut => Body::Right(Broken::of(&text)),
        _ => Body::Left(Full::new(text)),
    };
    let status = StatusCode::from_u16(answer.status).map_err(|_| Closed)?;
    let mut response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json");
    if let Some(seconds) = answer.retry_after {
        response = response.header(RETRY_AFTER, seconds);
    }
    response.body(body).map_err(|_| Closed)
}

/// The first half of an answer, and then nothing.
struct Broken(Option<Bytes>);

impl Broken {
    fn of(text: &Bytes) -> Self {
        Self(Some(text.slice(..text.len() / 2)))
    }
}

impl hyper::body::Body for Broken {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(Some(match self.0.take() {
            Some(half) => Ok(hyper::body::Frame::data(half)),
            None => Err(Closed),
        }))
    }
}
