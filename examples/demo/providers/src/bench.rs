//! The cheapest upstream there is, for load tests: fixed chat completions, and a count of the
//! requests. Whoever asks for a stream gets 200 events, whoever is `"user":"long"` 100 KiB.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

const COMPLETION: &str = concat!(
    r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1764000000,"#,
    r#""model":"gpt-4o","system_fingerprint":"fp_bench","choices":[{"index":0,"#,
    r#""message":{"role":"assistant","content":"At the checkpoint every traveller shows a "#,
    r#"permit.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":12,"completion_tokens":8,"total_tokens":20}}"#,
);

const EVENT: &str = concat!(
    r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1764000000,"#,
    r#""model":"gpt-4o","system_fingerprint":"fp_bench","choices":[{"index":0,"#,
    r#""delta":{"content":" permit"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
    "\n\n",
);
const LAST_EVENTS: &str = concat!(
    r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1764000000,"#,
    r#""model":"gpt-4o","system_fingerprint":"fp_bench","choices":[],"#,
    r#""usage":{"prompt_tokens":12,"completion_tokens":198,"total_tokens":210}}"#,
    "\n\ndata: [DONE]\n\n",
);
const EVENTS: usize = 200;
/// Of the answer to whoever is `long`.
const LONG_BYTES: usize = 100 * 1024;
/// Of a request's body; what it asks for stands behind its messages.
const TAIL_BYTES: usize = 128;

type Body = BoxBody<Bytes, Infallible>;

/// Serves for as long as the process lives.
pub(crate) async fn serve(listener: TcpListener) {
    let count = Arc::new(AtomicU64::new(0));
    let long = Bytes::from(long_completion());
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _: Result<(), std::io::Error> = stream.set_nodelay(true);
        let (count, long) = (Arc::clone(&count), long.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&count), long.clone()));
            let builder = auto::Builder::new(TokioExecutor::new());
            let _: Result<(), _> = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    count: Arc<AtomicU64>,
    long: Bytes,
) -> Result<Response<Body>, Infallible> {
    if request.uri().path() == "/__demo/served" {
        let calls = format!("{{\"calls\":{}}}", count.load(Ordering::Relaxed));
        return Ok(response("application/json", whole(Bytes::from(calls))));
    }
    count.fetch_add(1, Ordering::Relaxed);
    let tail = tail(request.into_body()).await;
    let asks = |what: &str| tail.windows(what.len()).any(|it| it == what.as_bytes());
    Ok(if asks(r#""stream":true"#) {
        response("text/event-stream", events())
    } else if asks(r#""user":"long""#) {
        response("application/json", whole(long))
    } else {
        let completion = Bytes::from_static(COMPLETION.as_bytes());
        response("application/json", whole(completion))
    })
}

/// Reads a body, and keeps its end.
async fn tail(mut body: Incoming) -> Vec<u8> {
    let mut tail = Vec::with_capacity(2 * TAIL_BYTES);
    while let Some(Ok(frame)) = body.frame().await {
        let data = frame.into_data().unwrap_or_default();
        let end = data.len().saturating_sub(TAIL_BYTES);
        tail.extend_from_slice(data.get(end..).unwrap_or_default());
        tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
    }
    tail
}

fn response(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn whole(body: Bytes) -> Body {
    Full::new(body).boxed()
}

fn long_completion() -> String {
    let words = " permit.".repeat(LONG_BYTES / " permit.".len());
    COMPLETION.replacen(" permit.", &words, 1)
}

/// Events that each leave at once, as those of a model do.
fn events() -> Body {
    let frames = futures_util::stream::unfold(0_usize, |sent| async move {
        let event = match sent {
            ..EVENTS => EVENT,
            EVENTS => LAST_EVENTS,
            _ => return None,
        };
        // Whoever always has more to say is written in one piece.
        tokio::task::yield_now().await;
        let frame = Frame::data(Bytes::from_static(event.as_bytes()));
        Some((Ok(frame), sent.saturating_add(1)))
    });
    BodyExt::boxed(StreamBody::new(frames))
}
