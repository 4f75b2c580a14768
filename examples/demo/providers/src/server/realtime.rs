//! OpenAI's realtime API: a conversation over a WebSocket, every answer of which reads all that
//! was said before.

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::{StatusCode, upgrade};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Providers, Response, admit, arrival, read, refuse};
use crate::answer::Refusal;
use crate::clock::unix_millis;
use crate::provider::Provider;
use crate::served::{Call, Served};
use crate::server::delivery;
use crate::shape;
use crate::usage::Usage;

/// What every answer says; a token for each word.
const ANSWER: [&str; 3] = ["A", "permit,", "please."];
/// Characters of encoded sound that are a token.
const SOUND_PER_TOKEN: u64 = 100;

/// Whether this is a request for such a conversation.
pub(super) fn is_asked(provider: Provider, request: &hyper::Request<Incoming>) -> bool {
    let paths: &[&str] = match provider {
        Provider::OpenaiCompatible => &["/v1/realtime"],
        Provider::AzureOpenai => &["/openai/v1/realtime", "/openai/realtime"],
        _ => return false,
    };
    paths.contains(&request.uri().path()) && request.headers().contains_key(UPGRADE)
}

pub(super) async fn open(
    provider: Provider,
    providers: &Providers,
    mut request: hyper::Request<Incoming>,
) -> Response {
    let connection = upgrade::on(&mut request);
    let call = arrival(provider, &request, unix_millis());
    let begun = providers.served.begin(call.clone());
    let request = match read(request, providers, unix_millis()).await {
        Ok(request) => request,
        Err(refusal) => return refuse(provider, &refusal, "", None, begun),
    };
    let name = match request.path.as_str() {
        "/openai/realtime" => "deployment",
        _ => "model",
    };
    let asked = admit(provider, providers, &request).and_then(|()| {
        let model = request.query_parameter(name);
        let model = model.ok_or_else(|| shape::missing(name))?;
        let key = request.header(SEC_WEBSOCKET_KEY.as_str());
        let key = key.ok_or_else(|| Refusal::invalid("sec-websocket-key", "is missing"))?;
        if request.headers.contains_key("sec-websocket-extensions") {
            let text = "nobody could read compressed frames on the way";
            return Err(Refusal::invalid("sec-websocket-extensions", text));
        }
        Ok((model.to_owned(), derive_accept_key(key.as_bytes())))
    });
    let (model, accept) = match asked {
        Ok(asked) => asked,
        Err(refusal) => return refuse(provider, &refusal, &request.id("req_"), None, begun),
    };
    begun.understood(&model, Usage::default());
    begun.answered(StatusCode::SWITCHING_PROTOCOLS.as_u16());
    begun.complete();
    let served = providers.served.clone();
    tokio::spawn(async move {
        if let Ok(connection) = connection.await {
            let connection = TokioIo::new(connection);
            // The client went away, or said what is no message.
            let _: Option<()> = Conversation::new(model, call, served)
                .talk(connection)
                .await;
        }
    });
    let mut response = delivery::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

struct Conversation {
    model: String,
    call: Call,
    served: Served,
    /// Tokens of all that was said, and those of them that were sound.
    said: u64,
    heard: u64,
    /// What the answer before this one has read: that is in a cache.
    read: u64,
    answers: u64,
}

impl Conversation {
    fn new(model: String, call: Call, served: Served) -> Self {
        Self {
            model,
            call,
            served,
            said: 0,
            heard: 0,
            read: 0,
            answers: 0,
        }
    }

    /// Until the client goes.
    async fn talk(mut self, connection: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
        let mut socket = WebSocketStream::from_raw_socket(connection, Role::Server, None).await;
        let session = json!({"type": "realtime", "object": "realtime.session", "id": "sess_1",
                             "model": self.model});
        let created = json!({"type": "session.created", "event_id": "event_0", "session": session});
        socket.send(Message::text(created.to_string())).await.ok()?;
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else {
                continue;
            };
            let event: Value = serde_json::from_str(&text).ok()?;
            for event in self.hear(&event) {
                socket.send(Message::text(event.to_string())).await.ok()?;
            }
        }
        Some(())
    }

    /// What is said to an event of the client's.
    fn hear(&mut self, event: &Value) -> Vec<Value> {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        match text("/type").unwrap_or_default() {
            "session.update" => {
                let session = event.get("session").cloned();
                vec![json!({"type": "session.updated", "session": session})]
            }
            "conversation.item.create" => {
                let words = text("/item/content/0/text").unwrap_or_default();
                self.said += words.split_whitespace().count() as u64;
                vec![json!({"type": "conversation.item.added", "item": event.get("item")})]
            }
            "input_audio_buffer.append" => {
                let sound = text("/audio").unwrap_or_default().len() as u64;
                self.heard += sound.div_ceil(SOUND_PER_TOKEN);
                Vec::new()
            }
            "response.create" => self.answer(),
            other => {
                let message = format!("Unknown event type: {other}");
                let error = json!({"type": "invalid_request_error", "code": "unknown_event",
                                   "message": message});
                vec![json!({"type": "error", "error": error})]
            }
        }
    }

    fn answer(&mut self) -> Vec<Value> {
        self.answers += 1;
        let id = format!("resp_{}", self.answers);
        let input = self.said + self.heard;
        let output = ANSWER.len() as u64;
        let usage = Usage {
            output,
            cached_input: self.read,
            audio_input: self.heard,
            ..Usage::of_input(input)
        };
        self.read = input;
        self.said += output;
        let served = self.served.begin(self.call.clone());
        served.understood(&self.model, usage);
        served.answered(StatusCode::OK.as_u16());
        served.complete();
        let response = |status: &str, usage: Value| json!({"object": "realtime.response", "id": id, "status": status, "usage": usage});
        let mut events = vec![
            json!({"type": "response.created", "response": response("in_progress", Value::Null)}),
        ];
        events.extend(ANSWER.map(|word| {
            json!({"type": "response.output_text.delta", "response_id": id, "delta": format!("{word} ")})
        }));
        let told = json!({
            "total_tokens": usage.total(), "input_tokens": input, "output_tokens": output,
            "input_token_details": {
                "text_tokens": input - self.heard, "audio_tokens": self.heard,
                "cached_tokens": usage.cached_input,
            },
            "output_token_details": {"text_tokens": output, "audio_tokens": 0},
        });
        events.push(json!({"type": "response.done", "response": response("completed", told)}));
        events
    }
}
