//! `responses`, whole and streamed.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::{Answer, Refusal, Request, named_event};
use crate::shape::{self, Members};
use crate::usage::{Completion, Usage};

pub(super) fn answer(request: &Request, members: &Members, model: &str) -> Result<Answer, Refusal> {
    let prompt = prompt(members)?;
    let limit = shape::optional_count(members, "max_output_tokens")?;
    let completion = Completion::of(&prompt, limit);
    let usage = completion.usage;
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

fn prompt(members: &Members) -> Result<Vec<String>, Refusal> {
    let mut texts = Vec::new();
    if let Some(instructions) = members.get("instructions").filter(|value| !value.is_null()) {
        let text = instructions
            .as_str()
            .ok_or_else(|| mistyped("instructions"))?;
        texts.push(text.to_owned());
    }
    match members.get("input") {
        Some(Value::String(text)) => texts.push(text.clone()),
        Some(Value::Array(items)) => {
            for item in items {
                let item = shape::as_object(item, "input[]")?;
                let content = item.get("content").unwrap_or(&Value::Null);
                texts.push(shape::content_text(content).ok_or_else(|| mistyped("input[]"))?);
            }
        }
        None => return Err(shape::missing("input")),
        Some(_) => return Err(mistyped("input")),
    }
    Ok(texts)
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
            "input_tokens_details": { "cached_tokens": 0 },
            "output_tokens": usage.output,
            "output_tokens_details": { "reasoning_tokens": 0 },
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
