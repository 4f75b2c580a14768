//! Listens as the providers, and answers.

mod delivery;
mod realtime;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde::Serialize;
use tokio::net::TcpListener;

use self::delivery::{Breaking, Response};
use crate::answer::{Answer, Refusal, Request, data_event, named_event};
use crate::behaviour::{Behaviour, Rule};
use crate::clock::unix_millis;
use crate::credential::{self, Credentials};
use crate::directions::Directions;
use crate::form::Form;
use crate::objects::Objects;
use crate::openai::Dialect;
use crate::provider::Provider;
use crate::record::Recorder;
use crate::served::{Call, OpenCall, Served, State, Violation};
use crate::usage::Usage;
use crate::{anthropic, bedrock, gemini, openai};

/// Prompts above this are refused with 413.
const MAX_BODY_BYTES: usize = 32 << 20;

/// What all providers share.
pub(crate) struct Providers {
    pub(crate) credentials: Credentials,
    /// Between the pieces of a stream, where no rule says otherwise.
    pub(crate) chunk_delay: Duration,
    behaviour: Mutex<Behaviour>,
    served: Served,
    recorder: Recorder,
    objects: Arc<Objects>,
    /// The numbers of requests that have had the error which they asked for.
    failed: Mutex<BTreeSet<u64>>,
    serial: AtomicU64,
}

impl Providers {
    pub(crate) fn new(credentials: Credentials, chunk_delay: Duration) -> Self {
        Self {
            credentials,
            chunk_delay,
            behaviour: Mutex::default(),
            served: Served::default(),
            recorder: Recorder::default(),
            objects: Arc::default(),
            failed: Mutex::default(),
            serial: AtomicU64::new(1),
        }
    }

    /// Leaves out an error that the same request has had before.
    fn due(&self, asked: Directions) -> Directions {
        let (Some(id), Some(_)) = (asked.id, asked.status) else {
            return asked;
        };
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        Directions {
            status: asked.status.filter(|_| failed.insert(id)),
            ..asked
        }
    }

    fn with_behaviour<T>(&self, change: impl FnOnce(&mut Behaviour) -> T) -> T {
        change(
            &mut self
                .behaviour
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

/// Serves one provider for as long as the process lives.
pub(crate) async fn serve(listener: TcpListener, provider: Provider, providers: Arc<Providers>) {
    loop {
        // A connection that could not be accepted concerns its caller alone.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        // Events are small; each is to leave at once.
        let _: Result<(), std::io::Error> = stream.set_nodelay(true);
        let providers = Arc::clone(&providers);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let providers = Arc::clone(&providers);
                async move { Ok::<_, Infallible>(handle(provider, &providers, request).await) }
            });
            let builder = auto::Builder::new(TokioExecutor::new());
            // The peer broke the connection, or the answer was cut on purpose.
            let _: Result<(), _> = builder
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn handle(
    provider: Provider,
    providers: &Providers,
    request: hyper::Request<Incoming>,
) -> Response {
    if let Some(operation) = request.uri().path().strip_prefix("/__demo/") {
        let (operation, method) = (operation.to_owned(), request.method().clone());
        let body = request
            .into_body()
            .collect()
            .await
            .map(|body| body.to_bytes());
        return administer(providers, &method, &operation, &body.unwrap_or_default());
    }
    if realtime::is_asked(provider, &request) {
        return realtime::open(provider, providers, request).await;
    }
    let now_ms = unix_millis();
    let open = providers.served.begin(arrival(provider, &request, now_ms));
    let request = match read(request, providers, now_ms).await {
        Ok(request) => request,
        Err(refusal) => return refuse(provider, &refusal, "", None, open),
    };
    providers.recorder.note(provider, &request);
    let id = request.id("req_");
    let asked = Directions::of(&String::from_utf8_lossy(&request.body));
    open.numbered(asked.id);
    match admit(provider, providers, &request).and_then(|()| answer(provider, &request)) {
        Err(refusal) => refuse(provider, &refusal, &id, None, open),
        Ok(answer) => {
            open.understood(&answer.model, answer.usage);
            let rule =
                providers.with_behaviour(|it| it.take(provider, &answer.model, &request.path));
            let due = providers.due(asked);
            deliver(provider, providers, &id, answer, (&rule, due), open).await
        }
    }
}

async fn deliver(
    provider: Provider,
    providers: &Providers,
    id: &str,
    answer: Answer,
    (rule, asked): (&Rule, Directions),
    open: OpenCall,
) -> Response {
    const WHY: &str = "The demo was told to answer so.";
    let delay = rule.delay().max(Duration::from_millis(asked.wait));
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let asked_status = asked.status.and_then(|it| StatusCode::from_u16(it).ok());
    if let Some(status) = rule.status.or(asked_status.filter(|it| it.as_u16() >= 400)) {
        let retry_after = rule.retry_after_seconds.or(asked.retry_after);
        return refuse(provider, &Refusal::new(status, WHY), id, retry_after, open);
    }
    let count = |pieces: u64| usize::try_from(pieces).unwrap_or(usize::MAX);
    let fail_after = rule.fail_after_chunks.or(asked.fail.map(count));
    let breaking = Breaking {
        cut_after: rule.cut_after_chunks.or(asked.cut.map(count)),
        fail_after: fail_after.map(|pieces| (pieces, stream_error(provider, WHY, &answer))),
    };
    let pace = rule.chunk_delay().unwrap_or(providers.chunk_delay);
    delivery::send(answer, pace, breaking, open)
}

/// An error in a stream that has begun, as the provider writes it.
fn stream_error(provider: Provider, message: &str, answer: &Answer) -> bytes::Bytes {
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message);
    match provider {
        Provider::AzureOpenai | Provider::OpenaiCompatible => {
            data_event(&openai::error_body(&refusal, Dialect::OpenAi))
        }
        Provider::Anthropic => named_event("error", &anthropic::error_body(&refusal, "")),
        Provider::Bedrock => bedrock::stream_error(message),
        Provider::Gemini | Provider::Vertex => gemini::stream_error(&refusal, answer.content_type),
    }
}

fn arrival(provider: Provider, request: &hyper::Request<Incoming>, at_ms: u64) -> Call {
    let request_id = request.headers().get("x-request-id");
    Call {
        provider,
        model: String::new(),
        path: request.uri().path().to_owned(),
        number: None,
        request_id: request_id
            .and_then(|id| id.to_str().ok())
            .map(str::to_owned),
        at_ms,
        status: None,
        usage: Usage::default(),
        state: State::InProgress,
    }
}

async fn read(
    request: hyper::Request<Incoming>,
    providers: &Providers,
    now_ms: u64,
) -> Result<Request, Refusal> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY_BYTES)
        .collect()
        .await
        .map_err(|_too_long_or_cut| {
            Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the request body could not be read",
            )
        })?;
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = parts
        .uri
        .authority()
        .map(|authority| authority.as_str())
        .or(host);
    let authority = authority.unwrap_or_default().to_owned();
    let body = body.to_bytes();
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|it| it.to_str().ok());
    let form = Form::of(content_type.unwrap_or_default(), &body).await?;
    Ok(Request {
        authority,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        method: parts.method,
        headers: parts.headers,
        body,
        form,
        objects: Arc::clone(&providers.objects),
        serial: providers.serial.fetch_add(1, Ordering::Relaxed),
        unix_seconds: now_ms / 1000,
    })
}

/// Refuses a caller without the provider's key, and notes what must not arrive.
fn admit(provider: Provider, providers: &Providers, request: &Request) -> Result<(), Refusal> {
    if let Some(what) = credential::leak(request) {
        let at_ms = request.unix_seconds.saturating_mul(1000);
        let path = request.path.clone();
        providers.served.violation(Violation {
            provider,
            path,
            what: what.clone(),
            at_ms,
        });
        let message = format!("this must not reach a provider: {what}");
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, message));
    }
    providers.credentials.check(provider, request)
}

fn answer(provider: Provider, request: &Request) -> Result<Answer, Refusal> {
    match provider {
        Provider::AzureOpenai => openai::azure(request),
        Provider::OpenaiCompatible => openai::openai(request),
        Provider::Anthropic => anthropic::answer(request),
        Provider::Bedrock => bedrock::answer(request),
        Provider::Gemini => gemini::answer(request),
        Provider::Vertex => gemini::vertex(request),
    }
}

/// The refusal in the provider's own error body.
fn refuse(
    provider: Provider,
    refusal: &Refusal,
    request_id: &str,
    retry_after_seconds: Option<u64>,
    open: OpenCall,
) -> Response {
    let (body, exception) = match provider {
        Provider::AzureOpenai => (openai::error_body(refusal, Dialect::Azure), None),
        Provider::OpenaiCompatible => (openai::error_body(refusal, Dialect::OpenAi), None),
        Provider::Anthropic => (anthropic::error_body(refusal, request_id), None),
        Provider::Gemini | Provider::Vertex => (gemini::error_body(refusal), None),
        Provider::Bedrock => {
            let (body, exception) = bedrock::error_body(refusal);
            (body, Some(exception))
        }
    };
    open.answered(refusal.status.as_u16());
    open.complete();
    let mut response = delivery::json(refusal.status, &body);
    let headers = response.headers_mut();
    if let Some(exception) = exception {
        headers.insert(
            "x-amzn-errortype",
            header::HeaderValue::from_static(exception),
        );
    }
    if let Some(seconds) = retry_after_seconds {
        headers.insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    response
}

fn administer(providers: &Providers, method: &Method, operation: &str, body: &[u8]) -> Response {
    #[derive(Serialize)]
    struct Problem {
        error: String,
    }
    let problem = |status, error: &str| {
        delivery::json(
            status,
            &Problem {
                error: error.to_owned(),
            },
        )
    };
    match (method.as_str(), operation) {
        ("GET", "health") => delivery::empty(StatusCode::NO_CONTENT),
        ("GET", "served") => delivery::json(StatusCode::OK, &providers.served.report()),
        ("POST", "reset") => {
            providers.served.reset();
            providers.with_behaviour(Behaviour::clear);
            delivery::empty(StatusCode::NO_CONTENT)
        }
        ("POST", "record") => {
            providers.recorder.start();
            delivery::empty(StatusCode::NO_CONTENT)
        }
        ("GET", "record") => delivery::json(StatusCode::OK, &providers.recorder.take()),
        ("DELETE", "record") => {
            providers.recorder.stop();
            delivery::empty(StatusCode::NO_CONTENT)
        }
        ("GET", "behave") => providers.with_behaviour(|it| delivery::json(StatusCode::OK, it)),
        ("DELETE", "behave") => {
            providers.with_behaviour(Behaviour::clear);
            delivery::empty(StatusCode::NO_CONTENT)
        }
        ("POST", "behave") => match serde_json::from_slice::<Rule>(body) {
            Ok(rule) => {
                providers.with_behaviour(|it| it.add(rule));
                delivery::empty(StatusCode::NO_CONTENT)
            }
            Err(error) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        (_, "health" | "served" | "reset" | "behave" | "record") => {
            problem(StatusCode::METHOD_NOT_ALLOWED, "no such method here")
        }
        _ => problem(
            StatusCode::NOT_FOUND,
            "there are health, served, reset, behave and record",
        ),
    }
}
