//! `chat/completions`, whole and streamed.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Dialect;
use crate::answer::{Answer, Refusal, Request, data_event};
use crate::shape::{self, Members};
use crate::usage::{Completion, Prompt};

const MEMBERS: [&str; 34] = [
    "audio",
    "data_sources",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
];
const ROLES: [&str; 6] = [
    "system",
    "developer",
    "user",
    "assistant",
    "tool",
    "function",
];

pub(super) fn answer(
    request: &Request,
    members: &Members,
    model: &str,
    dialect: Dialect,
) -> Result<Answer, Refusal> {
    shape::known_members(members, &MEMBERS)?;
    let prompt = prompt(members)?;
    let limit = match shape::optional_count(members, "max_completion_tokens")? {
        Some(limit) => Some(limit),
        None => shape::optional_count(members, "max_tokens")?,
    };
    let streamed = shape::optional_bool(members, "stream")?;
    let with_usage = usage_wanted(members, streamed)?;
    let completion = Completion::of(&prompt, limit);
    let frame = Frame {
        request,
        model,
        dialect,
        completion: &completion,
    };
    let answer = if streamed {
        Answer::events(model, completion.usage, frame.chunks(with_usage))
    } else {
        Answer::json(model, completion.usage, &frame.whole())
    };
    Ok(answer)
}

fn prompt(members: &Members) -> Result<Prompt, Refusal> {
    let mut prompt = Prompt::default();
    for (at, message) in shape::required_array(members, "messages")?
        .iter()
        .enumerate()
    {
        let name = format!("messages[{at}]");
        let message = shape::as_object(message, &name)?;
        let role = shape::required_string(message, "role")?;
        if !ROLES.contains(&role) {
            return Err(Refusal::invalid(&name, format!("Invalid value: '{role}'."))
                .with_code("invalid_value"));
        }
        match message.get("content") {
            None | Some(Value::Null) if role == "assistant" => {}
            None => return Err(shape::missing(&format!("{name}.content"))),
            Some(content) => prompt.content(content).ok_or_else(|| {
                shape::mistyped(
                    &format!("{name}.content"),
                    "one of a string or array of objects",
                )
            })?,
        }
    }
    Ok(prompt)
}

fn usage_wanted(members: &Members, streamed: bool) -> Result<bool, Refusal> {
    match members.get("stream_options") {
        None | Some(Value::Null) => Ok(false),
        Some(_) if !streamed => Err(Refusal::invalid(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        )),
        Some(options) => {
            let options = shape::as_object(options, "stream_options")?;
            shape::known_members(options, &["include_usage", "include_obfuscation"])?;
            shape::optional_bool(options, "include_usage")
        }
    }
}

struct Frame<'a> {
    request: &'a Request,
    model: &'a str,
    dialect: Dialect,
    completion: &'a Completion,
}

impl Frame<'_> {
    fn whole(&self) -> Value {
        let mut choice = json!({
            "index": 0,
            "message": {
                "role": "assistant", "content": self.completion.text(), "refusal": null,
                "annotations": [],
            },
            "logprobs": null,
            "finish_reason": self.finish_reason(),
        });
        let mut body = json!({
            "id": self.request.id("chatcmpl-"),
            "object": "chat.completion",
            "created": self.request.unix_seconds,
            "model": self.model,
            "system_fingerprint": "fp_5154047bf2",
            "usage": self.usage(),
        });
        if self.dialect == Dialect::Azure {
            insert(&mut choice, "content_filter_results", nothing_filtered());
            insert(&mut body, "prompt_filter_results", prompt_filter_results());
        }
        insert(&mut body, "choices", json!([choice]));
        body
    }

    fn chunks(&self, with_usage: bool) -> Vec<Bytes> {
        let mut events = Vec::new();
        if self.dialect == Dialect::Azure {
            events.push(data_event(&json!({
                "choices": [], "created": 0, "id": "", "model": "", "object": "",
                "prompt_filter_results": prompt_filter_results(),
            })));
        }
        let opening = json!({ "role": "assistant", "content": "", "refusal": null });
        events.push(self.chunk(opening, Value::Null, with_usage));
        for word in &self.completion.words {
            events.push(self.chunk(json!({ "content": word }), Value::Null, with_usage));
        }
        events.push(self.chunk(json!({}), json!(self.finish_reason()), with_usage));
        if with_usage {
            let mut last = self.envelope();
            insert(&mut last, "choices", json!([]));
            insert(&mut last, "usage", self.usage());
            events.push(data_event(&last));
        }
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
        events
    }

    fn chunk(&self, delta: Value, finish_reason: Value, with_usage: bool) -> Bytes {
        let mut choice = json!({
            "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason,
        });
        if self.dialect == Dialect::Azure {
            insert(&mut choice, "content_filter_results", json!({}));
        }
        let mut chunk = self.envelope();
        insert(&mut chunk, "choices", json!([choice]));
        if with_usage {
            insert(&mut chunk, "usage", Value::Null);
        }
        data_event(&chunk)
    }

    fn envelope(&self) -> Value {
        json!({
            "id": self.request.id("chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": self.request.unix_seconds,
            "model": self.model,
            "system_fingerprint": "fp_5154047bf2",
        })
    }

    fn finish_reason(&self) -> &'static str {
        if self.completion.cut_short {
            "length"
        } else {
            "stop"
        }
    }

    fn usage(&self) -> Value {
        let usage = self.completion.usage;
        json!({
            "prompt_tokens": usage.input,
            "completion_tokens": usage.output,
            "total_tokens": usage.total(),
            "prompt_tokens_details": {
                "cached_tokens": usage.cached_input, "audio_tokens": usage.audio_input,
                "cache_write_tokens": usage.cache_write_input,
            },
            "completion_tokens_details": {
                "reasoning_tokens": usage.reasoning_output,
                "audio_tokens": usage.audio_output,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        })
    }
}

fn insert(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

fn nothing_filtered() -> Value {
    let safe = json!({ "filtered": false, "severity": "safe" });
    json!({ "hate": safe, "self_harm": safe, "sexual": safe, "violence": safe })
}

fn prompt_filter_results() -> Value {
    json!([{ "prompt_index": 0, "content_filter_results": nothing_filtered() }])
}
