//! Amazon Bedrock's runtime: `converse` and `invoke`, whole and streamed.

mod event_stream;
pub(crate) mod signature;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::answer::{Answer, Payload, Refusal, Request};
use crate::anthropic;
use crate::shape::{self, Members};
use crate::usage::{Completion, Prompt, Usage};

const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";
/// There is no model to wait for; Bedrock reports a latency all the same.
const LATENCY_MS: u64 = 12;
const CONVERSE_MEMBERS: [&str; 13] = [
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "inferenceConfig",
    "messages",
    "outputConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
    "system",
    "toolConfig",
    "usageConfig",
];

pub(crate) fn answer(request: &Request) -> Result<Answer, Refusal> {
    let unknown = || {
        Refusal::new(StatusCode::NOT_FOUND, "no such operation")
            .with_code("UnknownOperationException")
    };
    if request.method != Method::POST {
        return Err(unknown());
    }
    let path = request.path.strip_prefix("/model/").ok_or_else(unknown)?;
    let (model, operation) = path.split_once('/').ok_or_else(unknown)?;
    let model = model_id(model)?;
    let answer = match operation {
        "converse" => converse(request, &model),
        "converse-stream" => converse_stream(request, &model),
        "invoke" => invoke(request, &model),
        "invoke-with-response-stream" => invoke_stream(request, &model),
        _ => Err(unknown()),
    };
    Ok(answer?.with_header("x-amzn-requestid", &request.id("")))
}

/// A foundation model (`anthropic.claude-…-v1:0`), or an inference profile's or
/// model's ARN, percent-encoded in the path.
fn model_id(segment: &str) -> Result<String, Refusal> {
    let id = percent_decoded(segment)
        .filter(|id| !id.contains('%') && (id.contains('.') || id.starts_with("arn:aws")))
        .ok_or_else(|| Refusal::invalid("modelId", "The provided model identifier is invalid."))?;
    Ok(id)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn converse(request: &Request, model: &str) -> Result<Answer, Refusal> {
    let completion = converse_completion(request)?;
    let body = json!({
        "output": { "message": {
            "role": "assistant", "content": [{ "text": completion.text() }],
        }},
        "stopReason": stop_reason(&completion),
        "usage": usage(completion.usage),
        "metrics": { "latencyMs": LATENCY_MS },
    });
    Ok(Answer::json(model, completion.usage, &body))
}

fn converse_stream(request: &Request, model: &str) -> Result<Answer, Refusal> {
    let completion = converse_completion(request)?;
    let mut messages = vec![("messageStart", json!({ "role": "assistant" }))];
    for word in &completion.words {
        let delta = json!({ "contentBlockIndex": 0, "delta": { "text": word } });
        messages.push(("contentBlockDelta", delta));
    }
    messages.push(("contentBlockStop", json!({ "contentBlockIndex": 0 })));
    messages.push((
        "messageStop",
        json!({ "stopReason": stop_reason(&completion) }),
    ));
    let metadata =
        json!({ "usage": usage(completion.usage), "metrics": { "latencyMs": LATENCY_MS } });
    messages.push(("metadata", metadata));
    let messages = messages
        .into_iter()
        .map(|(name, data)| event_stream::event(name, &padded(data)))
        .collect();
    Ok(Answer::new(
        EVENT_STREAM,
        model,
        completion.usage,
        Payload::Pieces(messages),
    ))
}

/// Bedrock pads its messages in a member `p`, against guessing by length.
fn padded(mut data: Value) -> Value {
    const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP";
    let length = data.to_string().len() % PADDING.len();
    if let Some(members) = data.as_object_mut() {
        let padding: String = PADDING.chars().take(length).collect();
        members.insert("p".to_owned(), json!(padding));
    }
    data
}

fn converse_completion(request: &Request) -> Result<Completion, Refusal> {
    let members = shape::object(&request.body)?;
    shape::known_members(&members, &CONVERSE_MEMBERS)?;
    let limit = match members.get("inferenceConfig") {
        None => None,
        Some(config) => {
            let config = shape::as_object(config, "inferenceConfig")?;
            let known = ["maxTokens", "stopSequences", "temperature", "topP"];
            shape::known_members(config, &known)?;
            shape::optional_count(config, "maxTokens")?
        }
    };
    Ok(Completion::of(&converse_prompt(&members)?, limit))
}

fn converse_prompt(members: &Members) -> Result<Prompt, Refusal> {
    let mut prompt = Prompt::default();
    if let Some(system) = members.get("system") {
        content(&mut prompt, system, "system")?;
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
            return Err(shape::mistyped(
                &format!("{name}.role"),
                "'user' or 'assistant'",
            ));
        }
        let blocks = message.get("content").unwrap_or(&Value::Null);
        content(&mut prompt, blocks, &name)?;
    }
    Ok(prompt)
}

fn content(prompt: &mut Prompt, blocks: &Value, name: &str) -> Result<(), Refusal> {
    match blocks {
        Value::Array(_) => prompt.content(blocks),
        _ => None,
    }
    .ok_or_else(|| shape::mistyped(name, "an array of content blocks"))
}

fn invoke(request: &Request, model: &str) -> Result<Answer, Refusal> {
    let completion = invoke_completion(request)?;
    let usage = completion.usage;
    let body = anthropic::message(&request.id("msg_bdrk_"), model, &completion);
    Ok(Answer::json(model, usage, &body)
        .with_header(
            "x-amzn-bedrock-input-token-count",
            &usage.uncached_input().to_string(),
        )
        .with_header(
            "x-amzn-bedrock-output-token-count",
            &usage.output.to_string(),
        )
        .with_header("x-amzn-bedrock-invocation-latency", &LATENCY_MS.to_string()))
}

fn invoke_stream(request: &Request, model: &str) -> Result<Answer, Refusal> {
    let completion = invoke_completion(request)?;
    let messages: Vec<Bytes> = anthropic::events(&request.id("msg_bdrk_"), model, &completion)
        .into_iter()
        .map(|(name, mut data)| {
            if let ("message_stop", Some(members)) = (name, data.as_object_mut()) {
                let metrics = json!({
                    "inputTokenCount": completion.usage.uncached_input(),
                    "outputTokenCount": completion.usage.output,
                    "cacheReadInputTokenCount": completion.usage.cached_input,
                    "cacheWriteInputTokenCount": completion.usage.cache_write_input,
                    "invocationLatency": LATENCY_MS,
                    "firstByteLatency": LATENCY_MS,
                });
                members.insert("amazon-bedrock-invocationMetrics".to_owned(), metrics);
            }
            let bytes = STANDARD.encode(data.to_string());
            event_stream::event("chunk", &padded(json!({ "bytes": bytes })))
        })
        .collect();
    Ok(Answer::new(
        EVENT_STREAM,
        model,
        completion.usage,
        Payload::Pieces(messages),
    )
    .with_header("x-amzn-bedrock-content-type", "application/json"))
}

fn invoke_completion(request: &Request) -> Result<Completion, Refusal> {
    let members = shape::object(&request.body)?;
    shape::required_string(&members, "anthropic_version")?;
    if let Some(name) = ["model", "stream"]
        .into_iter()
        .find(|name| members.contains_key(*name))
    {
        let message = format!("{name}: Extra inputs are not permitted");
        return Err(Refusal::invalid(name, message));
    }
    anthropic::completion(&members)
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
        "inputTokens": usage.uncached_input(), "outputTokens": usage.output,
        "totalTokens": usage.total(), "cacheReadInputTokens": usage.cached_input,
        "cacheWriteInputTokens": usage.cache_write_input,
    })
}

/// An exception inside a stream that has begun.
pub(crate) fn stream_error(message: &str) -> Bytes {
    event_stream::exception("modelStreamErrorException", &json!({ "message": message }))
}

/// The body and the `x-amzn-errortype` that names the exception.
pub(crate) fn error_body(refusal: &Refusal) -> (Value, &'static str) {
    let exception = refusal.code.unwrap_or(match refusal.status.as_u16() {
        400 => "ValidationException",
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        500.. => "InternalServerException",
        _ => "ValidationException",
    });
    (json!({ "message": refusal.message }), exception)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_decoded_from_its_path_segment() {
        let id = model_id("arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.a");
        assert_eq!(
            id.unwrap(),
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.a"
        );
    }

    #[test]
    fn a_doubly_encoded_model_is_refused() {
        assert!(model_id("anthropic.claude%253A0").is_err());
    }
}
