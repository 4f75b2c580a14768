//! Anthropic's Messages API, whole and streamed; Bedrock's `invoke` carries the
//! same bodies.

mod batches;
mod models;

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal, Request, named_event};
use crate::shape::{self, Members};
use crate::usage::{Completion, Prompt, Usage};

const MEMBERS: [&str; 20] = [
    "anthropic_beta",
    "anthropic_version",
    "cache_control",
    "container",
    "context_management",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
];

/// What may be counted.
const COUNTED: [&str; 10] = [
    "cache_control",
    "context_management",
    "mcp_servers",
    "messages",
    "model",
    "output_config",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];

pub(crate) fn answer(request: &Request) -> Result<Answer, Refusal> {
    let not_found = || Refusal::new(StatusCode::NOT_FOUND, "Not found");
    check_version(request)?;
    let path = request.path.strip_prefix("/v1/").ok_or_else(not_found)?;
    let segments: Vec<&str> = path.split('/').collect();
    let answer = match (request.method.as_str(), segments.as_slice()) {
        ("POST", ["messages"]) => messages(request),
        ("POST", ["messages", "count_tokens"]) => count_tokens(request),
        (_, ["messages", "batches", rest @ ..]) => batches::answer(request, rest),
        ("GET", ["models", rest @ ..]) => models::answer(rest),
        _ => Err(not_found()),
    };
    Ok(answer?.with_header("request-id", &request.id("req_")))
}

/// The one that SDKs sent for years, and the one that they send today.
fn check_version(request: &Request) -> Result<(), Refusal> {
    let name = "anthropic-version";
    match request.header(name) {
        Some("2023-06-01" | "2026-10-21") => Ok(()),
        None => Err(Refusal::invalid(
            name,
            "anthropic-version: header is required",
        )),
        Some(version) => Err(Refusal::invalid(
            name,
            format!("anthropic-version: \"{version}\" is not a valid version"),
        )),
    }
}

/// A page that is the last one.
fn page(data: &[Value]) -> Value {
    let id = |object: Option<&Value>| object.and_then(|it| it.get("id")).cloned();
    json!({
        "data": data, "has_more": false, "first_id": id(data.first()), "last_id": id(data.last()),
    })
}

fn messages(request: &Request) -> Result<Answer, Refusal> {
    let members = shape::object(&request.body)?;
    let model = model(&members)?;
    let completion = completion(&members)?;
    if shape::optional_bool(&members, "stream")? {
        let events = events(&request.id("msg_"), model, &completion)
            .iter()
            .map(|(name, data)| named_event(name, data))
            .collect::<Vec<Bytes>>();
        return Ok(Answer::events(model, completion.usage, events));
    }
    let body = message(&request.id("msg_"), model, &completion);
    Ok(Answer::json(model, completion.usage, &body))
}

fn count_tokens(request: &Request) -> Result<Answer, Refusal> {
    let members = shape::object(&request.body)?;
    let model = model(&members)?;
    shape::known_members(&members, &COUNTED)?;
    let input = prompt(&members)?.usage().input;
    // Counting is free: nothing is used.
    Ok(Answer::json(
        model,
        Usage::default(),
        &json!({ "input_tokens": input }),
    ))
}

fn model(members: &Members) -> Result<&str, Refusal> {
    let model = shape::required_string(members, "model")?;
    match model.starts_with("claude-") {
        true => Ok(model),
        false => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            format!("model: {model}"),
        )),
    }
}

/// Checks the members that Anthropic and Bedrock have in common, and answers.
pub(crate) fn completion(members: &Members) -> Result<Completion, Refusal> {
    let known: Vec<&str> = MEMBERS.iter().copied().chain(["top_p"]).collect();
    shape::known_members(members, &known)?;
    let limit = shape::optional_count(members, "max_tokens")?
        .ok_or_else(|| Refusal::invalid("max_tokens", "max_tokens: Field required"))?;
    Ok(Completion::of(&prompt(members)?, Some(limit)))
}

fn prompt(members: &Members) -> Result<Prompt, Refusal> {
    let mut prompt = Prompt::default();
    if let Some(system) = members.get("system") {
        prompt.content(system).ok_or_else(|| invalid("system"))?;
    }
    for (at, message) in shape::required_array(members, "messages")?
        .iter()
        .enumerate()
    {
        let name = format!("messages.{at}");
        let message = shape::as_object(message, &name)?;
        if !matches!(
            message.get("role").and_then(Value::as_str),
            Some("user" | "assistant")
        ) {
            return Err(invalid(&format!("{name}.role")));
        }
        let content = message.get("content").unwrap_or(&Value::Null);
        prompt.content(content).ok_or_else(|| invalid(&name))?;
    }
    Ok(prompt)
}

fn invalid(name: &str) -> Refusal {
    Refusal::invalid(name, format!("{name}: Input should be valid"))
}

pub(crate) fn message(id: &str, model: &str, completion: &Completion) -> Value {
    json!({
        "id": id, "type": "message", "role": "assistant", "model": model,
        "content": [{ "type": "text", "text": completion.text() }],
        "stop_reason": stop_reason(completion), "stop_sequence": null,
        "usage": usage(completion.usage),
    })
}

/// The events of a streamed message with their names.
pub(crate) fn events(id: &str, model: &str, completion: &Completion) -> Vec<(&'static str, Value)> {
    let started = Usage {
        output: 1,
        ..completion.usage
    };
    let mut events = vec![
        (
            "message_start",
            json!({ "message": {
                "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": usage(started),
            }}),
        ),
        (
            "content_block_start",
            json!({ "index": 0, "content_block": { "type": "text", "text": "" } }),
        ),
        ("ping", json!({})),
    ];
    for word in &completion.words {
        let delta = json!({ "type": "text_delta", "text": word });
        events.push(("content_block_delta", json!({ "index": 0, "delta": delta })));
    }
    events.extend([
        ("content_block_stop", json!({ "index": 0 })),
        (
            "message_delta",
            json!({
                "delta": { "stop_reason": stop_reason(completion), "stop_sequence": null },
                "usage": { "output_tokens": completion.usage.output },
            }),
        ),
        ("message_stop", json!({})),
    ]);
    for (name, data) in &mut events {
        if let Some(members) = data.as_object_mut() {
            members.insert("type".to_owned(), json!(name));
        }
    }
    events
}

fn stop_reason(completion: &Completion) -> &'static str {
    if completion.cut_short {
        "max_tokens"
    } else {
        "end_turn"
    }
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.uncached_input(), "output_tokens": usage.output,
        "cache_creation_input_tokens": usage.cache_write_input,
        "cache_read_input_tokens": usage.cached_input,
        "service_tier": "standard",
    })
}

pub(crate) fn error_body(refusal: &Refusal, request_id: &str) -> Value {
    let kind = match refusal.status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({
        "type": "error",
        "error": { "type": kind, "message": refusal.message },
        "request_id": request_id,
    })
}
