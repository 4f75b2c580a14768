//! The Gemini API and Vertex AI, which differ in their paths: `generateContent`,
//! `streamGenerateContent`, `embedContent`, `batchEmbedContents`, `countTokens`.

mod embed;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::answer::{Answer, Payload, Refusal, Request};
use crate::shape::{self, Members};
use crate::usage::{Completion, Prompt, Usage};

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

/// What may be counted.
const COUNTED: [&str; 7] = [
    "contents",
    "generateContentRequest",
    "generationConfig",
    "instances",
    "model",
    "systemInstruction",
    "tools",
];

/// The Gemini API's `/v1beta/models/{model}:{operation}`; newer SDKs say `/v1/`.
pub(crate) fn answer(request: &Request) -> Result<Answer, Refusal> {
    respond(request, request.path.strip_prefix('/').and_then(of_gemini))
}

/// Vertex AI's `/v1/projects/{project}/locations/{location}/publishers/google/models/{model}:…`.
pub(crate) fn vertex(request: &Request) -> Result<Answer, Refusal> {
    respond(request, request.path.strip_prefix('/').and_then(of_vertex))
}

fn of_gemini(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix("v1beta/").or(path.strip_prefix("v1/"))?;
    path.strip_prefix("models/")?.rsplit_once(':')
}

fn of_vertex(path: &str) -> Option<(&str, &str)> {
    let segments: Vec<&str> = path.split('/').collect();
    match segments.as_slice() {
        [
            "v1" | "v1beta1",
            "projects",
            _,
            "locations",
            _,
            "publishers",
            "google",
            "models",
            model,
        ] => model.rsplit_once(':'),
        _ => None,
    }
}

fn respond(request: &Request, route: Option<(&str, &str)>) -> Result<Answer, Refusal> {
    let route = route.filter(|_| request.method == Method::POST);
    let (model, operation) = route.ok_or_else(|| {
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
            shape::known_members(&members, &COUNTED)?;
            let total = prompt(&members)?.usage().input;
            let details = json!([{ "modality": "TEXT", "tokenCount": total }]);
            let body = json!({ "totalTokens": total, "promptTokensDetails": details });
            // Counting is free: nothing is used.
            Ok(Answer::json(model, Usage::default(), &body))
        }
        "embedContent" => embed::one(&members, model),
        "batchEmbedContents" => embed::batch(&members, model),
        _ => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            format!("no method `{operation}`"),
        )),
    }
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

fn prompt(members: &Members) -> Result<Prompt, Refusal> {
    let mut prompt = Prompt::default();
    if let Some(system) = members.get("systemInstruction") {
        content(&mut prompt, system, "system_instruction")?;
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
        self::content(&mut prompt, content, &name)?;
    }
    Ok(prompt)
}

fn content(prompt: &mut Prompt, content: &Value, name: &str) -> Result<(), Refusal> {
    let parts = content.get("parts").unwrap_or(&Value::Null);
    match parts {
        Value::Array(_) => prompt.content(parts),
        _ => None,
    }
    .ok_or_else(|| Refusal::invalid(name, format!("{name}.parts must be an array of parts")))
}

/// Every chunk reports the usage so far; the last one is the bill.
fn chunks(request: &Request, model: &str, completion: &Completion) -> Vec<Value> {
    const WORDS_PER_CHUNK: usize = 4;
    let mut pieces: Vec<&[String]> = completion.words.chunks(WORDS_PER_CHUNK).collect();
    // A limit may leave nothing but thoughts; that is told, too.
    if pieces.is_empty() {
        pieces.push(&[]);
    }
    // A model thinks before it writes.
    let mut output = completion.usage.reasoning_output;
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
            "cachedContentTokenCount": usage.cached_input,
            "candidatesTokenCount": usage.output.saturating_sub(usage.reasoning_output),
            "thoughtsTokenCount": usage.reasoning_output,
            "totalTokenCount": usage.total(),
            "promptTokensDetails": details(usage),
        },
        "modelVersion": model,
        "responseId": request.id(""),
    })
}

/// The prompt's tokens by what they are of.
fn details(usage: Usage) -> Value {
    let media = usage.image_input.saturating_add(usage.audio_input);
    let kinds = [
        ("TEXT", usage.input.saturating_sub(media)),
        ("IMAGE", usage.image_input),
        ("AUDIO", usage.audio_input),
    ];
    let told = kinds.into_iter().filter(|(_, count)| *count > 0);
    told.map(|(modality, count)| json!({ "modality": modality, "tokenCount": count }))
        .collect()
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

/// An error in a stream that has begun: one more of whatever there were before.
pub(crate) fn stream_error(refusal: &Refusal, content_type: &str) -> Bytes {
    let error = error_body(refusal);
    if content_type.starts_with("text/event-stream") {
        Bytes::from(format!("data: {error}\r\n\r\n"))
    } else {
        Bytes::from(format!(",\r\n{error}\n]\n"))
    }
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
