//! Streams in the forms of providers, written and read.

use serde_json::{Value, json};

use super::*;

/// In whose form a text comes in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// OpenAI's chat completions.
    Chat,
    ChatArguments,
    Reasoning,
    /// OpenAI's responses.
    Responses,
    ResponsesArguments,
    /// Anthropic's messages.
    Messages,
    MessagesJson,
    Thinking,
    /// Gemini's, as server-sent events and as one array.
    Gemini,
    GeminiArray,
    /// Bedrock's Converse, and Anthropic's events in it.
    Converse,
    ConverseInput,
    Invoke,
    /// Others.
    Lines,
    Plain,
}

pub(super) const SHAPES: [Shape; 15] = [
    Shape::Chat,
    Shape::ChatArguments,
    Shape::Reasoning,
    Shape::Responses,
    Shape::ResponsesArguments,
    Shape::Messages,
    Shape::MessagesJson,
    Shape::Thinking,
    Shape::Gemini,
    Shape::GeminiArray,
    Shape::Converse,
    Shape::ConverseInput,
    Shape::Invoke,
    Shape::Lines,
    Shape::Plain,
];

impl Shape {
    pub(super) fn framing(self) -> Framing {
        match self {
            Self::GeminiArray | Self::Lines => Framing::Values,
            Self::Converse | Self::ConverseInput | Self::Invoke => Framing::Frames,
            _ => Framing::Lines,
        }
    }

    /// Whether answers of this shape come several at a time.
    pub(super) fn has_choices(self) -> bool {
        matches!(
            self,
            Self::Chat | Self::ChatArguments | Self::Gemini | Self::GeminiArray
        )
    }

    /// An event with a piece of a text, of an answer of this number.
    pub(super) fn event(self, of: usize, text: &str) -> Value {
        let chat = |delta: Value| {
            json!({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_732_953_600,
                "model": "gpt-4o", "system_fingerprint": "fp_44709d6fcb",
                "choices": [{"delta": delta, "index": of, "finish_reason": null}],
            })
        };
        let block =
            |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
        match self {
            Self::Chat => chat(json!({"content": text})),
            Self::ChatArguments => {
                chat(json!({"tool_calls": [{"function": {"arguments": text}, "index": 1}]}))
            }
            Self::Reasoning => chat(json!({"reasoning_content": text})),
            Self::Responses => json!({
                "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
                "content_index": 0, "delta": text, "sequence_number": 7, "obfuscation": "aZ3",
            }),
            Self::ResponsesArguments => json!({
                "type": "response.function_call_arguments.delta", "item_id": "fc_1",
                "output_index": 1, "delta": text, "sequence_number": 7,
            }),
            Self::Messages | Self::Invoke => block(json!({"type": "text_delta", "text": text})),
            Self::MessagesJson => block(json!({"type": "input_json_delta", "partial_json": text})),
            Self::Thinking => block(json!({"type": "thinking_delta", "thinking": text})),
            Self::Gemini | Self::GeminiArray => json!({
                "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": of}],
                "usageMetadata": {"promptTokenCount": 8}, "modelVersion": "gemini-2.5-pro",
            }),
            Self::Converse => json!({
                "contentBlockIndex": 0, "delta": {"text": text}, "p": "abcdefghijklmnopqrstuvwxyzABC",
            }),
            Self::ConverseInput => json!({
                "contentBlockIndex": 1, "delta": {"toolUse": {"input": text}}, "p": "abcd",
            }),
            Self::Lines => {
                json!({"model": "llama", "message": {"role": "assistant", "content": text}})
            }
            Self::Plain => Value::Null,
        }
    }

    /// Of which answer an event has a piece, and the piece.
    fn piece(self, event: &Value) -> (usize, String) {
        let (of, at) = match self {
            Self::Chat => ("/choices/0/index", "/choices/0/delta/content"),
            Self::ChatArguments => (
                "/choices/0/index",
                "/choices/0/delta/tool_calls/0/function/arguments",
            ),
            Self::Reasoning => ("", "/choices/0/delta/reasoning_content"),
            Self::Responses | Self::ResponsesArguments => ("", "/delta"),
            Self::Messages | Self::Invoke | Self::Converse => ("", "/delta/text"),
            Self::MessagesJson => ("", "/delta/partial_json"),
            Self::Thinking => ("", "/delta/thinking"),
            Self::Gemini | Self::GeminiArray => {
                ("/candidates/0/index", "/candidates/0/content/parts/0/text")
            }
            Self::ConverseInput => ("", "/delta/toolUse/input"),
            Self::Lines => ("", "/message/content"),
            Self::Plain => ("", ""),
        };
        let of = event.pointer(of).and_then(Value::as_u64).unwrap_or(0);
        let text = event.pointer(at).and_then(Value::as_str).unwrap();
        (of as usize, text.to_owned())
    }

    /// A stream of such events.
    pub(super) fn stream(self, pieces: &[(usize, String)]) -> Vec<u8> {
        let events = pieces.iter().map(|(of, text)| self.event(*of, text));
        match self {
            Self::Plain => {
                let lines = pieces.iter().map(|(_, text)| format!("data: {text}\n\n"));
                lines.collect::<String>().into_bytes()
            }
            Self::GeminiArray => {
                let events: Vec<String> = events.map(|event| format!("{event:#}")).collect();
                format!("[{}\n]\n", events.join("\n,\r\n")).into_bytes()
            }
            Self::Lines => {
                let lines = events.map(|event| format!("{event}\n"));
                lines.collect::<String>().into_bytes()
            }
            Self::Converse | Self::ConverseInput => {
                let frames = events.map(|event| written("contentBlockDelta", &event));
                frames.collect::<Vec<_>>().concat()
            }
            Self::Invoke => {
                let frames = events.map(|event| {
                    let bytes = STANDARD.encode(event.to_string());
                    written("chunk", &json!({"bytes": bytes, "p": "abcdef"}))
                });
                frames.collect::<Vec<_>>().concat()
            }
            _ => {
                let lines = events.map(|event| format!("event: it\r\ndata: {event}\r\n\r\n"));
                let lines: String = lines.collect();
                format!(": ping\n\n{lines}data: [DONE]\n\n").into_bytes()
            }
        }
    }

    /// The texts that a stream says, by their answers, and how many events it has.
    pub(super) fn told(self, stream: &[u8]) -> (Vec<String>, usize) {
        let mut texts = vec![String::new(); 3];
        let mut count = 0;
        let mut take = |(of, text): (usize, String)| {
            texts[of].push_str(&text);
            count += 1;
        };
        match self.framing() {
            Framing::Frames => {
                let mut rest = stream;
                while let Some(length) = frame::length(rest).unwrap() {
                    let (first, after) = rest.split_at(length);
                    let payload = frame::read(first).unwrap().payload;
                    let mut event: Value = serde_json::from_slice(payload).unwrap();
                    if let Some(bytes) = event.get("bytes").and_then(Value::as_str) {
                        event = serde_json::from_slice(&STANDARD.decode(bytes).unwrap()).unwrap();
                    }
                    take(self.piece(&event));
                    rest = after;
                }
                assert_eq!(rest, b"");
            }
            Framing::Values if self == Self::GeminiArray => {
                let events: Vec<Value> = serde_json::from_slice(stream).unwrap();
                events.iter().for_each(|event| take(self.piece(event)));
            }
            Framing::Values => {
                let events = serde_json::Deserializer::from_slice(stream).into_iter::<Value>();
                events.for_each(|event| take(self.piece(&event.unwrap())));
            }
            Framing::Lines => {
                let text = std::str::from_utf8(stream).unwrap();
                for line in text.lines() {
                    let data = line.strip_prefix("data: ").filter(|data| *data != "[DONE]");
                    match data {
                        Some(data) if self == Self::Plain => take((0, data.to_owned())),
                        Some(data) => take(self.piece(&serde_json::from_str(data).unwrap())),
                        None => {}
                    }
                }
            }
        }
        (texts, count)
    }

    /// A text as it is looked at: what stands between the quotes.
    pub(super) fn inner(self, text: &str) -> String {
        if self == Self::Plain {
            return text.to_owned();
        }
        let quoted = json!(text).to_string();
        quoted.get(1..quoted.len() - 1).unwrap().to_owned()
    }

    pub(super) fn meant(self, inner: &str) -> String {
        if self == Self::Plain {
            return inner.to_owned();
        }
        serde_json::from_str(&format!("\"{inner}\"")).unwrap()
    }
}

pub(super) fn header(name: &str, value: &str) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    let name_length = [u8::try_from(name.len()).unwrap()];
    [
        &name_length[..],
        name.as_bytes(),
        &[7],
        &length,
        value.as_bytes(),
    ]
    .concat()
}

fn written(kind: &str, event: &Value) -> Vec<u8> {
    let headers = [
        header(":event-type", kind),
        header(":content-type", "application/json"),
        header(":message-type", "event"),
    ];
    frame::write(&headers.concat(), event.to_string().as_bytes())
}
