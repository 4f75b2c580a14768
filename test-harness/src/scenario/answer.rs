//! What a provider answers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::format::{Chunks, Framing, HeaderList, Span, unhex};
use crate::gateway::{Answer, AnswerEnd, Disturbance};
use crate::provider::event_stream;

/// An answer; without anything: 200 and an empty JSON object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AnswerSpec {
    status: Option<u16>,
    headers: HeaderList,
    json: Option<Value>,
    text: Option<String>,
    hex: Option<String>,
    /// Server-sent events.
    sse: Option<Vec<SseEvent>>,
    /// Lines of `sse` end with CR LF.
    crlf: bool,
    /// Messages of `application/vnd.amazon.eventstream`.
    events: Option<Vec<StreamEvent>>,
    chunks: Option<Chunks>,
    framing: Option<Framing>,
    before_end: Option<Disturbance>,
    end: AnswerEnd,
    /// So long it takes to begin.
    after: Option<Span>,
    /// What upstreams of these names answer instead.
    at: BTreeMap<String, AnswerSpec>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SseEvent {
    event: Option<String>,
    /// Text as it is, anything else as JSON.
    data: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamEvent {
    /// The value of `:event-type`, or of `:exception-type`.
    event: String,
    #[serde(default)]
    exception: bool,
    data: Value,
}

/// A body is described twice, or its hex digits are none.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("`upstream` needs at most one of `json`, `text`, `hex`, `sse` and `events`")]
pub(super) struct UnusableAnswer;

impl AnswerSpec {
    /// `pieces`: cuts the body into pieces of this size, whatever the description says.
    pub(super) fn prepare(&self, pieces: Option<usize>) -> Result<Answer, UnusableAnswer> {
        let mut bodies = Vec::new();
        if let Some(json) = &self.json {
            bodies.push(("application/json", vec![json.to_string().into_bytes()]));
        }
        if let Some(text) = &self.text {
            bodies.push(("text/plain", vec![text.clone().into_bytes()]));
        }
        if let Some(hex) = &self.hex {
            bodies.push((
                "application/octet-stream",
                vec![unhex(hex).ok_or(UnusableAnswer)?],
            ));
        }
        if let Some(events) = &self.sse {
            let line = if self.crlf { "\r\n" } else { "\n" };
            let events = events.iter().map(|event| event.text(line).into_bytes());
            bodies.push(("text/event-stream", events.collect()));
        }
        if let Some(events) = &self.events {
            let events = events.iter().map(|event| {
                let data = event.data.to_string();
                match event.exception {
                    true => event_stream::exception(&event.event, data.as_bytes()),
                    false => event_stream::event(&event.event, data.as_bytes()),
                }
            });
            bodies.push(("application/vnd.amazon.eventstream", events.collect()));
        }
        let (content_type, natural) = match (bodies.pop(), bodies.is_empty()) {
            (Some(body), true) => body,
            (None, _) => ("application/json", vec![b"{}".to_vec()]),
            _ => return Err(UnusableAnswer),
        };
        let elsewhere = self.at.iter().map(|(name, answer)| {
            let answer = answer.prepare(pieces)?;
            Ok((name.clone(), answer))
        });
        let elsewhere = elsewhere.collect::<Result<_, _>>()?;
        let streams = self.sse.is_some() || self.events.is_some();
        let chunks = pieces.map(Chunks::of).or_else(|| self.chunks.clone());
        let mut headers = self.headers.clone();
        if !headers.has("content-type") {
            headers
                .0
                .push(("content-type".to_owned(), content_type.as_bytes().to_vec()));
        }
        Ok(Answer {
            status: self.status.unwrap_or(200),
            headers: headers.0,
            body: match chunks {
                Some(chunks) => chunks.cut(&natural.concat()),
                None => natural,
            },
            chunked: self
                .framing
                .map_or(streams, |framing| framing == Framing::Chunked),
            before_end: self.before_end,
            end: self.end,
            after: self.after.map_or(Duration::ZERO, |span| span.0),
            elsewhere,
        })
    }
}

impl SseEvent {
    fn text(&self, line: &str) -> String {
        let mut text = String::new();
        if let Some(event) = &self.event {
            text.push_str(&format!("event: {event}{line}"));
        }
        let data = match &self.data {
            Value::String(data) => data.clone(),
            data => data.to_string(),
        };
        text.push_str(&format!("data: {data}{line}{line}"));
        text
    }
}
