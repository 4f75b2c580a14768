//! `responses`, whole and streamed.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Dialect, free, list, no_such};
use crate::answer::{Answer, Refusal, Request, named_event};
use crate::objects::Object;
use crate::shape::{self, Members};
use crate::usage::{Completion, Prompt, Usage};

pub(super) fn answer(
    request: &Request,
    members: &Members,
    model: &str,
    dialect: Dialect,
) -> Result<Answer, Refusal> {
    let provider = dialect.provider();
    if let Some(id) = members.get("previous_response_id").and_then(Value::as_str)
        && request.objects.get(provider, id).is_none()
    {
        return Err(no_such("Response", id));
    }
    let prompt = prompt(members)?;
    let limit = shape::optional_count(members, "max_output_tokens")?;
    let completion = Completion::of(&prompt, limit);
    let usage = completion.usage;
    if members.get("store") != Some(&Value::Bool(false)) {
        let object = Object {
            described: finished(request, model, &completion),
            content: request.body.clone(),
        };
        request.objects.put(provider, &request.id("resp_"), object);
    }
    if shape::optional_bool(members, "stream")? {
        return Ok(Answer::events(
            model,
            usage,
            events(request, model, &completion),
        ));
    }
    Ok(Answer::json(
        model,
        usage,
        &finished(request, model, &completion),
    ))
}

/// What is asked of a response that was kept.
pub(super) fn kept(
    request: &Request,
    dialect: Dialect,
    id: &str,
    rest: &[&str],
) -> Result<Answer, Refusal> {
    let provider = dialect.provider();
    let found = request.objects.get(provider, id);
    let response = found.ok_or_else(|| no_such("Response", id))?;
    match (request.method.as_str(), rest) {
        ("GET", []) | ("POST", ["cancel"]) => Ok(free(&response.described)),
        ("GET", ["input_items"]) => {
            let asked = shape::object(&response.content)?;
            let text = asked
                .get("input")
                .and_then(Value::as_str)
                .unwrap_or_default();
            Ok(free(&list(&[json!({
                "type": "message", "id": request.id("msg_"), "status": "completed",
                "role": "user", "content": [{ "type": "input_text", "text": text }],
            })])))
        }
        ("DELETE", []) => {
            request.objects.remove(provider, id);
            Ok(free(
                &json!({ "id": id, "object": "response", "deleted": true }),
            ))
        }
        _ => Err(dialect.not_found(request)),
    }
}

fn prompt(members: &Members) -> Result<Prompt, Refusal> {
    let mut prompt = Prompt::default();
    if let Some(instructions) = members.get("instructions").filter(|value| !value.is_null()) {
        let text = instructions
            .as_str()
            .ok_or_else(|| mistyped("instructions"))?;
        prompt.text(text);
    }
    match members.get("input") {
        Some(Value::String(text)) => prompt.text(text),
        Some(Value::Array(items)) => {
            for item in items {
                let item = shape::as_object(item, "input[]")?;
                let content = item.get("content").unwrap_or(&Value::Null);
                prompt.content(content).ok_or_else(|| mistyped("input[]"))?;
            }
        }
        None => return Err(shape::missing("input")),
        Some(_) => return Err(mistyped("input")),
    }
    Ok(prompt)
}

fn mistyped(name: &str) -> Refusal {
    shape::mistyped(name, "a string or an array of items")
}

fn finished(request: &Request, model: &str, completion: &Completion) -> Value {
    let status = if completion.cut_short {
        "incomplete"
    } else {
        "completed"
    };
    response(
        request,
        model,
        status,
        json!([message(request, completion)]),
        Some(completion.usage),
    )
}

fn message(request: &Request, completion: &Completion) -> Value {
    json!({
        "type": "message", "id": request.id("msg_"), "status": "completed", "role": "assistant",
        "content": [part(&completion.text())],
    })
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

fn response(
    request: &Request,
    model: &str,
    status: &str,
    output: Value,
    usage: Option<Usage>,
) -> Value {
    let incomplete = (status == "incomplete").then(|| json!({ "reason": "max_output_tokens" }));
    let usage = usage.map(|usage| {
        json!({
            "input_tokens": usage.input,
            "input_tokens_details": {
                "cached_tokens": usage.cached_input,
                "cache_write_tokens": usage.cache_write_input,
            },
            "output_tokens": usage.output,
            "output_tokens_details": { "reasoning_tokens": usage.reasoning_output },
            "total_tokens": usage.total(),
        })
    });
    json!({
        "id": request.id("resp_"), "object": "response", "created_at": request.unix_seconds,
        "status": status, "model": model, "output": output, "usage": usage,
        "error": null, "incomplete_details": incomplete, "instructions": null, "metadata": {},
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
        "temperature": 1.0, "top_p": 1.0,
    })
}

fn events(request: &Request, model: &str, completion: &Completion) -> Vec<Bytes> {
    let item_id = request.id("msg_");
    let at = |mut data: Value| {
        if let Some(members) = data.as_object_mut() {
            members.insert("item_id".to_owned(), json!(item_id));
            members.insert("output_index".to_owned(), json!(0));
            members.insert("content_index".to_owned(), json!(0));
        }
        data
    };
    let started = response(request, model, "in_progress", json!([]), None);
    let text = completion.text();
    let mut steps = vec![
        ("response.created", json!({ "response": started })),
        ("response.in_progress", json!({ "response": started })),
        (
            "response.output_item.added",
            json!({ "output_index": 0, "item": {
                "type": "message", "id": item_id, "status": "in_progress", "role": "assistant",
                "content": [],
            }}),
        ),
        (
            "response.content_part.added",
            at(json!({ "part": part("") })),
        ),
    ];
    for word in &completion.words {
        let delta = at(json!({ "delta": word, "logprobs": [] }));
        steps.push(("response.output_text.delta", delta));
    }
    let finished = finished(request, model, completion);
    let last = if completion.cut_short {
        "response.incomplete"
    } else {
        "response.completed"
    };
    steps.extend([
        (
            "response.output_text.done",
            at(json!({ "text": text, "logprobs": [] })),
        ),
        (
            "response.content_part.done",
            at(json!({ "part": part(&text) })),
        ),
        (
            "response.output_item.done",
            json!({ "output_index": 0, "item": message(request, completion) }),
        ),
        (last, json!({ "response": finished })),
    ]);
    steps
        .into_iter()
        .enumerate()
        .map(|(number, (name, mut data))| {
            if let Some(members) = data.as_object_mut() {
                members.insert("type".to_owned(), json!(name));
                members.insert("sequence_number".to_owned(), json!(number));
            }
            named_event(name, &data)
        })
        .collect()
}
