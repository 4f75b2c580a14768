//! The cheapest upstream there is, for load tests: one fixed chat completion for
//! whatever is asked, and a count of the requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
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

/// Serves for as long as the process lives.
pub(crate) async fn serve(listener: TcpListener) {
    let count = Arc::new(AtomicU64::new(0));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _: Result<(), std::io::Error> = stream.set_nodelay(true);
        let count = Arc::clone(&count);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&count)));
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
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = if request.uri().path() == "/__demo/served" {
        Bytes::from(format!("{{\"calls\":{}}}", count.load(Ordering::Relaxed)))
    } else {
        count.fetch_add(1, Ordering::Relaxed);
        let mut body = request.into_body();
        while let Some(Ok(_read)) = body.frame().await {}
        Bytes::from_static(COMPLETION.as_bytes())
    };
    let mut response = Response::new(Full::new(body));
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}
