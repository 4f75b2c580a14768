//! Anthropic's Messages API, whole and streamed; Bedrock's `invoke` carries the
//! same bodies.

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal, Request, named_event};
use crate::shape::{self, Members};
use crate::usage::{Completion, Usage, input_tokens};

const MEMBERS: [&str; 18] = [
    "anthropic_beta",
    "anthropic_version",
    "container",
    "context_management",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
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

pub(crate) fn answer(request: &Request) -> Result<Answer, Refusal> {
    if request.method != Method::POST {
        return Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "Method Not Allowed",
        ));
    }
    if request.header("anthropic-version").is_none() {
        let message = "anthropic-version: header is required";
        return Err(Refusal::invalid("anthropic-version", message));
    }
    let answer = match request.path.as_str() {
        "/v1/messages" => messages(request),
        "/v1/messages/count_tokens" => count_tokens(request),
        _ => Err(Refusal::new(StatusCode::NOT_FOUND, "Not found")),
    };
    Ok(answer?.with_header("request-id", &request.id("req_")))
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
    let input = input_tokens(&prompt(&members)?);
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

fn prompt(members: &Members) -> Result<Vec<String>, Refusal> {
    let mut texts = Vec::new();
    if let Some(system) = members.get("system") {
        texts.push(shape::content_text(system).ok_or_else(|| invalid("system"))?);
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
        texts.push(shape::content_text(content).ok_or_else(|| invalid(&name))?);
    }
    Ok(texts)
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
        "input_tokens": usage.input, "output_tokens": usage.output,
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
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
