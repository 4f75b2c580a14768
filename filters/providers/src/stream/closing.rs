//! How an answer ends that is cut, in the words of its API.
//!
//! A filter cannot end an answer: the proxy ends it when the provider does, or breaks it off. So
//! what ends it for its reader has to be in the stream. OpenAI's SDKs read up to `[DONE]`, and
//! find there an answer that ended for its length. Others read up to the end of the connection:
//! they are told the same, for those who stop there, and then an error in their API's own form,
//! which their SDKs raise before they could notice that the connection was broken off.

use sekisho_domain::{Denial, Provider, RecordId};
use serde_json::{Value, json};

use super::{StreamWire, frame};
use crate::error_body;

/// What is known of an answer that its end has to repeat.
#[derive(Clone, Debug)]
pub struct Closing {
    wire: StreamWire,
    /// Its id, its time and its model, as it said them.
    id: Value,
    created: Value,
    model: Value,
    /// The number of the last event.
    sequence: u64,
    /// The block of its content that has begun and not ended.
    block: Option<u64>,
}

impl Closing {
    pub(super) const fn new(wire: StreamWire) -> Self {
        Self {
            wire,
            id: Value::Null,
            created: Value::Null,
            model: Value::Null,
            sequence: 0,
            block: None,
        }
    }

    /// Takes in an event that has been passed on.
    pub(super) fn learn(&mut self, event: &Value) {
        match self.wire {
            StreamWire::Chat => self.name(event, "created"),
            StreamWire::Responses => {
                let number = event.get("sequence_number").and_then(Value::as_u64);
                self.sequence = number.unwrap_or(self.sequence);
                if let Some(response) = event.get("response") {
                    self.name(response, "created_at");
                }
            }
            StreamWire::Messages => {
                let index = event.get("index").and_then(Value::as_u64);
                match event.get("type").and_then(Value::as_str) {
                    Some("content_block_start") => self.block = index,
                    Some("content_block_stop") => self.block = None,
                    _ => {}
                }
            }
            StreamWire::Bedrock => {
                let block = event.get("contentBlockIndex").and_then(Value::as_u64);
                self.block = block.or(self.block);
            }
            StreamWire::Gemini => {}
        }
    }

    fn name(&mut self, named: &Value, created: &str) {
        if self.id.is_null() {
            let member = |name| named.get(name).cloned().unwrap_or_default();
            (self.id, self.created, self.model) = (member("id"), member(created), member("model"));
        }
    }

    /// The last bytes of an answer of so many choices. `denial`: why it is cut.
    #[must_use]
    pub fn bytes(&self, choices: u64, denial: &Denial, record_id: &RecordId) -> Vec<u8> {
        match self.wire {
            StreamWire::Chat => self.chat(choices),
            StreamWire::Responses => self.responses(),
            StreamWire::Messages => self.messages(denial, record_id),
            StreamWire::Gemini => gemini(choices, denial, record_id),
            StreamWire::Bedrock => self.bedrock(denial, record_id),
        }
    }

    fn chat(&self, choices: u64) -> Vec<u8> {
        let choice = |index| json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": "length"});
        let chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created,
            "model": self.model, "choices": (0..choices).map(choice).collect::<Vec<_>>(),
        });
        format!("data: {chunk}\n\ndata: [DONE]\n\n").into_bytes()
    }

    fn responses(&self) -> Vec<u8> {
        let event = json!({
            "type": "response.incomplete",
            "sequence_number": self.sequence + 1,
            "response": {
                "id": self.id, "object": "response", "created_at": self.created,
                "model": self.model, "status": "incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
                "error": null, "output": [], "usage": null, "tools": [], "tool_choice": "auto",
                "parallel_tool_calls": true, "metadata": {}, "instructions": null,
            },
        });
        format!("event: response.incomplete\ndata: {event}\n\ndata: [DONE]\n\n").into_bytes()
    }

    fn messages(&self, denial: &Denial, record_id: &RecordId) -> Vec<u8> {
        let mut text = String::new();
        let mut event = |name: &str, data: &str| {
            text.push_str(&format!("event: {name}\ndata: {data}\n\n"));
        };
        if let Some(index) = self.block {
            let stop = json!({"type": "content_block_stop", "index": index});
            event("content_block_stop", &stop.to_string());
        }
        let delta = json!({
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": null},
            "usage": {"output_tokens": 0},
        });
        event("message_delta", &delta.to_string());
        event("message_stop", &json!({"type": "message_stop"}).to_string());
        let error = error_body(Some(Provider::Anthropic), denial, record_id);
        event("error", &String::from_utf8_lossy(&error.body));
        text.into_bytes()
    }

    fn bedrock(&self, denial: &Denial, record_id: &RecordId) -> Vec<u8> {
        let event = |name: &str, payload: &Value| {
            let headers = [
                (":event-type", name),
                (":content-type", "application/json"),
                (":message-type", "event"),
            ];
            frame::write(&headers, payload.to_string().as_bytes())
        };
        let mut frames = Vec::new();
        // Only Converse numbers its blocks so; the families of models end each in its own way.
        if let Some(index) = self.block {
            let stop = json!({"contentBlockIndex": index});
            frames.extend(event("contentBlockStop", &stop));
            frames.extend(event("messageStop", &json!({"stopReason": "max_tokens"})));
        }
        let error = error_body(Some(Provider::Bedrock), denial, record_id);
        let headers = [
            (":exception-type", "throttlingException"),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ];
        frames.extend(frame::write(&headers, &error.body));
        frames
    }
}

fn gemini(choices: u64, denial: &Denial, record_id: &RecordId) -> Vec<u8> {
    let candidate = |index| {
        json!({
            "index": index, "finishReason": "MAX_TOKENS",
            "content": {"role": "model", "parts": [{"text": ""}]},
        })
    };
    let last = json!({"candidates": (0..choices).map(candidate).collect::<Vec<_>>()});
    let error = error_body(Some(Provider::Gemini), denial, record_id);
    let error = String::from_utf8_lossy(&error.body);
    format!("data: {last}\r\n\r\ndata: {error}\r\n\r\n").into_bytes()
}
