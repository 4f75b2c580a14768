//! The Gemini API: `generateContent`, `streamGenerateContent`, `countTokens`.

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::answer::{Answer, Payload, Refusal, Request};
use crate::shape::{self, Members};
use crate::usage::{Completion, Usage, input_tokens};

const MEMBERS: [&str; 10] = [
    "cachedContent",
    "contents",
    "generationConfig",
    "labels",
    "model",
    "safetySettings",
    "serviceTier",
    "systemInstruction",
    "toolConfig",
    "tools",
];

pub(crate) fn answer(request: &Request) -> Result<Answer, Refusal> {
    let (model, operation) = route(request).ok_or_else(|| {
        let message = format!(
            "{} {} was not found on this server.",
            request.method, request.path
        );
        Refusal::new(StatusCode::NOT_FOUND, message)
    })?;
    if !model.starts_with("gemini-") {
        let message = format!("models/{model} is not found for API version v1beta.");
        return Err(Refusal::new(StatusCode::NOT_FOUND, message));
    }
    let members = shape::object(&request.body)?;
    match operation {
        "generateContent" => {
            let completion = completion(&members)?;
            let text = completion.text();
            let body = chunk(request, model, &completion, &text, completion.usage, true);
            Ok(Answer::json(model, completion.usage, &body))
        }
        "streamGenerateContent" => {
            let completion = completion(&members)?;
            let chunks = chunks(request, model, &completion);
            Ok(match request.query_parameter("alt") {
                Some("sse") => Answer::events(model, completion.usage, as_events(&chunks)),
                _ => {
                    let pieces = Payload::Pieces(as_array(&chunks));
                    Answer::new("application/json", model, completion.usage, pieces)
                }
            })
        }
        "countTokens" => {
            let total = input_tokens(&prompt(&members)?);
            let details = json!([{ "modality": "TEXT", "tokenCount": total }]);
            let body = json!({ "totalTokens": total, "promptTokensDetails": details });
            // Counting is free: nothing is used.
            Ok(Answer::json(model, Usage::default(), &body))
        }
        _ => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            format!("no method `{operation}`"),
        )),
    }
}

/// `/v1beta/models/{model}:{operation}`; newer SDKs say `/v1/`.
fn route(request: &Request) -> Option<(&str, &str)> {
    if request.method != Method::POST {
        return None;
    }
    let path = request
        .path
        .strip_prefix("/v1beta/")
        .or(request.path.strip_prefix("/v1/"))?;
    path.strip_prefix("models/")?.rsplit_once(':')
}

fn completion(members: &Members) -> Result<Completion, Refusal> {
    shape::known_members(members, &MEMBERS)?;
    let limit = match members.get("generationConfig") {
        None => None,
        Some(config) => {
            let config = shape::as_object(config, "generation_config")?;
            shape::optional_count(config, "maxOutputTokens")?
        }
    };
    Ok(Completion::of(&prompt(members)?, limit))
}

fn prompt(members: &Members) -> Result<Vec<String>, Refusal> {
    let mut texts = Vec::new();
    if let Some(system) = members.get("systemInstruction") {
        texts.push(text_of(system, "system_instruction")?);
    }
    for (at, content) in shape::required_array(members, "contents")?
        .iter()
        .enumerate()
    {
        let name = format!("contents[{at}]");
        match content.get("role").map(Value::as_str) {
            None | Some(Some("user" | "model" | "function")) => {}
            Some(_) => {
                return Err(Refusal::invalid(
                    &name,
                    "Please use a valid role: user, model.",
                ));
            }
        }
        texts.push(text_of(content, &name)?);
    }
    Ok(texts)
}

fn text_of(content: &Value, name: &str) -> Result<String, Refusal> {
    let parts = content.get("parts").unwrap_or(&Value::Null);
    match parts {
        Value::Array(_) => shape::content_text(parts),
        _ => None,
    }
    .ok_or_else(|| Refusal::invalid(name, format!("{name}.parts must be an array of parts")))
}

/// Every chunk reports the usage so far; the last one is the bill.
fn chunks(request: &Request, model: &str, completion: &Completion) -> Vec<Value> {
    const WORDS_PER_CHUNK: usize = 4;
    let pieces: Vec<&[String]> = completion.words.chunks(WORDS_PER_CHUNK).collect();
    let mut output = 0_u64;
    let last = pieces.len().saturating_sub(1);
    pieces
        .iter()
        .enumerate()
        .map(|(at, words)| {
            output = output.saturating_add(u64::try_from(words.len()).unwrap_or(u64::MAX));
            let usage = Usage {
                output,
                ..completion.usage
            };
            chunk(
                request,
                model,
                completion,
                &words.concat(),
                usage,
                at == last,
            )
        })
        .collect()
}

fn chunk(
    request: &Request,
    model: &str,
    completion: &Completion,
    text: &str,
    usage: Usage,
    last: bool,
) -> Value {
    let mut candidate =
        json!({ "content": { "parts": [{ "text": text }], "role": "model" }, "index": 0 });
    if let (true, Some(members)) = (last, candidate.as_object_mut()) {
        let reason = if completion.cut_short {
            "MAX_TOKENS"
        } else {
            "STOP"
        };
        members.insert("finishReason".to_owned(), json!(reason));
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": usage.input,
            "candidatesTokenCount": usage.output,
            "totalTokenCount": usage.total(),
            "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": usage.input }],
        },
        "modelVersion": model,
        "responseId": request.id(""),
    })
}

fn as_events(chunks: &[Value]) -> Vec<Bytes> {
    chunks
        .iter()
        .map(|chunk| Bytes::from(format!("data: {chunk}\r\n\r\n")))
        .collect()
}

fn as_array(chunks: &[Value]) -> Vec<Bytes> {
    let opened = chunks.iter().enumerate().map(|(at, chunk)| match at {
        0 => Bytes::from(format!("[{chunk}\n")),
        _ => Bytes::from(format!(",\r\n{chunk}\n")),
    });
    opened.chain([Bytes::from_static(b"]\n")]).collect()
}

pub(crate) fn error_body(refusal: &Refusal) -> Value {
    let status = match refusal.status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    let mut error = json!({
        "code": refusal.status.as_u16(), "message": refusal.message, "status": status,
    });
    if let (Some(reason), Some(members)) = (refusal.code, error.as_object_mut()) {
        let details = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
            "metadata": { "service": "generativelanguage.googleapis.com" },
        }]);
        members.insert("details".to_owned(), details);
    }
    json!({ "error": error })
}
