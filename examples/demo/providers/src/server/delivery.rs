//! Sends an answer: at once, or piece by piece at a pace, perhaps cut.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::StatusCode;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use crate::answer::{Answer, Payload};
use crate::served::OpenCall;

/// Long enough for the pieces before a cut to leave.
const FLUSH: Duration = Duration::from_millis(20);

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(super) type Response = hyper::Response<Body>;

/// Where a stream goes wrong, if it does: counted in pieces that were sent before.
#[derive(Debug, Default)]
pub(super) struct Breaking {
    /// The connection is cut.
    pub(super) cut_after: Option<usize>,
    /// These last bytes tell of an error, and the answer ends.
    pub(super) fail_after: Option<(usize, Bytes)>,
}

pub(super) fn send(answer: Answer, pace: Duration, breaking: Breaking, open: OpenCall) -> Response {
    open.answered(answer.status.as_u16());
    let body = match answer.payload {
        Payload::Whole(bytes) => {
            open.complete();
            whole(bytes)
        }
        Payload::Pieces(pieces) => {
            let sending = Sending {
                pieces: pieces.into(),
                pace,
                breaking,
                sent: 0,
                open,
            };
            StreamBody::new(stream::unfold(Some(sending), next)).boxed_unsync()
        }
    };
    let mut response = hyper::Response::new(body);
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    headers.extend(answer.headers);
    response
}

struct Sending {
    pieces: VecDeque<Bytes>,
    pace: Duration,
    breaking: Breaking,
    sent: usize,
    open: OpenCall,
}

type Piece = Result<Frame<Bytes>, io::Error>;

async fn next(sending: Option<Sending>) -> Option<(Piece, Option<Sending>)> {
    let mut sending = sending?;
    let broken = &sending.breaking;
    if let Some((limit, last)) = &broken.fail_after
        && sending.sent >= *limit
    {
        // Never complete: the call counts as broken off.
        return Some((Ok(Frame::data(last.clone())), None));
    }
    if broken.cut_after.is_some_and(|limit| sending.sent >= limit) {
        // hyper drops what it has not written yet: let it write what was sent so far.
        tokio::time::sleep(FLUSH).await;
        // Without an end the peer sees a broken answer.
        return Some((Err(io::Error::other("cut on demand")), None));
    }
    let Some(piece) = sending.pieces.pop_front() else {
        sending.open.complete();
        return None;
    };
    if sending.sent > 0 && !sending.pace.is_zero() {
        tokio::time::sleep(sending.pace).await;
    }
    sending.sent = sending.sent.saturating_add(1);
    Some((Ok(Frame::data(piece)), Some(sending)))
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let mut response = hyper::Response::new(whole(Bytes::from(bytes)));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = hyper::Response::new(whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}
