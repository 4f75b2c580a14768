//! One case as a call.

use std::time::Duration;

use sekisho_domain::UnixMillis;
use sekisho_scope_cases::{Case, World};
use sekisho_test_harness::gateway::{Answer, Exchange, GatewayError, Request};
use serde_json::json;

use crate::start::Running;

/// A case whose outcome hangs on the second is made and called within one.
const EARLY_IN_SECOND: u64 = 200;

/// What came of a call; none: no client can send it.
pub(crate) fn call(world: &World, case: &Case, running: &mut Running) -> Option<Exchange> {
    let gateway = running.gateway_mut();
    let stands = gateway.advance(Duration::ZERO).is_ok();
    while case.exact && !stands && gateway.now().0 % 1000 > EARLY_IN_SECOND {
        std::thread::sleep(Duration::from_millis(50));
    }
    let request = request(world, case, gateway.now());
    let answer = Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: vec![b"{}".to_vec()],
        ..Answer::default()
    };
    match gateway.call(&request, &answer) {
        Ok(exchange) => Some(exchange),
        Err(GatewayError::Unsendable(_)) => None,
        Err(error) => panic!("{}: {error}", case.name),
    }
}

pub(crate) fn request(world: &World, case: &Case, now: UnixMillis) -> Request {
    let model = case.requires();
    let (path, body) = match case.api() {
        "open" => (
            "/v1/chat/completions".to_owned(),
            json!({"model": model, "messages": []}),
        ),
        "mfa" => (
            "/v1/messages".to_owned(),
            json!({"model": model, "max_tokens": 1, "messages": []}),
        ),
        "mfa-any" => (
            format!("/v1beta/models/{model}:generateContent"),
            json!({"contents": []}),
        ),
        "apps" => (format!("/model/{model}/converse"), json!({"messages": []})),
        "inside" => (
            format!("/openai/deployments/{model}/chat/completions?api-version=2024-10-21"),
            json!({"messages": []}),
        ),
        other => panic!("no path for API `{other}`"),
    };
    let shown = case.shown(world, now);
    let mut headers = vec![
        ("content-type".to_owned(), b"application/json".to_vec()),
        (shown.header, shown.value),
    ];
    if let Some(address) = case.address() {
        headers.push((
            "x-forwarded-for".to_owned(),
            address.to_string().into_bytes(),
        ));
    }
    Request {
        method: "POST".to_owned(),
        path,
        headers,
        body: vec![body.to_string().into_bytes()],
        ..Request::default()
    }
}
