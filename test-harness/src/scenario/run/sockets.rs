//! What is said through a WebSocket.

use serde_json::Value;

use super::records::{named_record, record_id};
use super::{RunError, Runner, TRIES};
use crate::gateway::Side;
use crate::scenario::judge;
use crate::scenario::talk::{Conversation, Turn, close_reason};

/// How often it is looked whether something has passed through a WebSocket...
const SOCKET_TRIES: u32 = 30;
/// ...or has not.
const SILENT_TRIES: u32 = 5;
/// What makes a request one for a WebSocket; compression is offered, as clients do.
const HANDSHAKE: [(&str, &str); 5] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    (
        "sec-websocket-extensions",
        "permessage-deflate; client_max_window_bits",
    ),
];

impl Runner<'_> {
    /// A WebSocket, and what is said through it. Its records are all that came into the log
    /// meanwhile: each of its answers has its own.
    pub(super) fn converse(
        &mut self,
        conversation: &Conversation,
    ) -> Result<Vec<String>, RunError> {
        let mut prepared = match self.prepare(&conversation.request, None) {
            Ok(prepared) => prepared,
            Err(error) => return Ok(vec![error.to_string()]),
        };
        for (name, value) in HANDSHAKE {
            let header = (name.to_owned(), value.as_bytes().to_vec());
            prepared.request.headers.push(header);
        }
        let before = self.gateway.sidecar().log_size()?;
        let exchange = self.gateway.open_socket(&prepared.request)?;
        let expect = &conversation.expect;
        let mut wrong = judge::exchange(expect, &exchange, false);
        wrong.extend(judge::laws(&exchange, prepared.credential.as_deref()));
        let id = named_record(&exchange);
        wrong.extend(self.admitted_before(id.as_deref(), &exchange)?);
        self.named.extend(id.clone());
        let opened = exchange
            .response
            .is_some_and(|response| response.status == 101);
        if opened && wrong.is_empty() {
            for (at, turn) in conversation.talk.iter().enumerate() {
                let odd = self.turn(turn)?;
                wrong.extend(odd.iter().map(|odd| format!("at turn {}: {odd}", at + 1)));
                if !wrong.is_empty() {
                    break;
                }
            }
        }
        self.gateway.hang_up(Side::Client);
        if let Some(expected) = &expect.records {
            let mut differences = Vec::new();
            for _ in 0..TRIES {
                let records = self.gateway.sidecar().records()?.into_iter();
                let records = records.filter(|record| record.place >= before);
                let mut records: Vec<Value> = records.map(|record| record.record).collect();
                // Another call may have ended in the meantime.
                let of = |record: &Value| record.pointer("/call/request_id").cloned();
                let named = records
                    .iter()
                    .find(|record| record_id(record) == id.as_deref());
                if let Some(request_id) = named.and_then(of) {
                    records.retain(|record| of(record).as_ref() == Some(&request_id));
                }
                differences = judge::records(expected, &records);
                if differences.is_empty() {
                    break;
                }
                self.gateway.wait();
            }
            wrong.extend(differences);
        }
        Ok(wrong)
    }

    fn turn(&mut self, turn: &Turn) -> Result<Vec<String>, RunError> {
        match turn {
            Turn::Then(step) => return self.step(step),
            Turn::HangsUp(side) => self.gateway.hang_up(*side),
            Turn::Says {
                side,
                frame,
                arrives,
            } => {
                let other = match side {
                    Side::Client => Side::Server,
                    Side::Server => Side::Client,
                };
                let before = self.gateway.heard(other).bytes.len();
                self.gateway.say(*side, frame);
                let mut heard = Vec::new();
                let tries = if *arrives { SOCKET_TRIES } else { SILENT_TRIES };
                for _ in 0..tries {
                    let now = self.gateway.heard(other).bytes;
                    heard = now.get(before..).unwrap_or_default().to_vec();
                    if *arrives && heard.len() >= frame.len() {
                        break;
                    }
                    self.gateway.wait();
                }
                // The gateway may add why it ends the session.
                if *arrives && !heard.starts_with(frame) {
                    let got = heard.len();
                    return Ok(vec![format!("{got} bytes arrived of {}", frame.len())]);
                }
                if !*arrives && !heard.is_empty() {
                    return Ok(vec!["it reached the other side".to_owned()]);
                }
            }
            Turn::Closed { reason } => {
                for _ in 0..SOCKET_TRIES {
                    if self.gateway.heard(Side::Client).over {
                        break;
                    }
                    self.gateway.wait();
                }
                let heard = self.gateway.heard(Side::Client);
                if !heard.over {
                    return Ok(vec!["the session is still open".to_owned()]);
                }
                let said = close_reason(&heard.bytes);
                if reason.is_some() && *reason != said {
                    return Ok(vec![format!("the session was closed with {said:?}")]);
                }
            }
        }
        Ok(Vec::new())
    }
}
