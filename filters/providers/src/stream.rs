//! Answers that stream, event by event: what each shows at most, and how to end one early.
//!
//! Reservations of budgets in mode `stream_cut` grow as answers pass. So answers are passed on in
//! whole events: an event that is not over is held back, which no client can read before its end,
//! so nothing comes later than it could be used, and what is cut ends between two events.

mod closing;
mod frame;
mod shown;

use sekisho_domain::{Provider, sse};
use serde_json::Value;

use crate::Operation;

pub use closing::Closing;

/// Most bytes of an event that is held back. What is longer is no event that we know, passes as
/// it comes, and counts as as many tokens.
const MOST_HELD: usize = 512 * 1024;

/// Whose events they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamWire {
    /// `chat.completion.chunk` of OpenAI.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Gemini's, as server-sent events.
    Gemini,
    /// Frames of an AWS event stream, in the words of Converse or of the model's family.
    Bedrock,
}

impl StreamWire {
    /// Of the answers to a request for an operation that asks for a stream at this path; none:
    /// they cannot be followed.
    #[must_use]
    pub fn of(operation: &Operation, path: &[u8]) -> Option<Self> {
        let wire = match (operation.provider, operation.name) {
            (Provider::OpenAi | Provider::AzureOpenAi, "chat_completions") => Self::Chat,
            (Provider::OpenAi | Provider::AzureOpenAi, "responses") => Self::Responses,
            (Provider::Anthropic, "messages") => Self::Messages,
            (Provider::Gemini | Provider::Vertex, "stream_generate_content") => Self::Gemini,
            (Provider::Bedrock, "converse_stream" | "invoke_stream") => Self::Bedrock,
            _ => return None,
        };
        // Without it Gemini streams the elements of one JSON array, which only ends as a whole.
        let is_events = wire != Self::Gemini || asks_for_events(path);
        is_events.then_some(wire)
    }
}

fn asks_for_events(path: &[u8]) -> bool {
    let mut parts = path.splitn(2, |byte| *byte == b'?');
    let query = parts.nth(1).unwrap_or_default();
    let mut parameters = query.split(|byte| *byte == b'&');
    parameters.any(|one| matches!(one, b"alt=sse" | b"$alt=sse" | b"%24alt=sse"))
}

/// What came of a piece of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// What may be passed on.
    pub bytes: Vec<u8>,
    /// Something may not: it and all that follows is left out.
    pub is_cut: bool,
    /// What was passed on does not end between two events, so nothing can be said after it.
    pub is_broken: bool,
}

/// Reads an answer event by event. What becomes of it does not depend on where its pieces were cut.
#[derive(Debug)]
pub struct AnswerEvents {
    wire: StreamWire,
    framing: Framing,
    held: Vec<u8>,
    closing: Closing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Nothing has come.
    Unknown,
    /// Server-sent events.
    Lines,
    /// An AWS event stream.
    Frames,
    /// Something else.
    None,
}

impl AnswerEvents {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(wire: StreamWire) -> Self {
        Self {
            wire,
            framing: Framing::Unknown,
            held: Vec::new(),
            closing: Closing::new(wire),
        }
    }

    /// Takes the next piece. `may_pass` is asked for each event whether so many tokens more may
    /// be shown; what it refuses, and all after that, is not passed on. `is_last`: nothing follows.
    pub fn push(
        &mut self,
        piece: &[u8],
        is_last: bool,
        mut may_pass: impl FnMut(u64) -> bool,
    ) -> Passed {
        let mut looked_at = self.held.len();
        self.held.extend_from_slice(piece);
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        if self.framing == Framing::Unknown {
            self.framing = match rest.first() {
                None => return Passed::default(),
                Some(b'{' | b'[') => Framing::None,
                Some(0) => Framing::Frames,
                Some(_) => Framing::Lines,
            };
        }
        let mut passed = 0;
        let mut is_cut = false;
        while !rest.is_empty() {
            let Some((event, after)) = self.first(rest, looked_at) else {
                break;
            };
            looked_at = 0;
            if !may_pass(self.shown(event)) {
                is_cut = true;
                break;
            }
            passed += event.len();
            rest = after;
        }
        let mut is_broken = self.framing == Framing::None;
        if !is_cut && (is_last || rest.len() > MOST_HELD || is_broken) && !rest.is_empty() {
            // Not an event that we know, or none at all.
            is_broken = true;
            if !is_last {
                self.framing = Framing::None;
            }
            is_cut = !may_pass(rest.len() as u64);
            if !is_cut {
                passed += rest.len();
                rest = &[];
            }
        }
        if !is_cut {
            self.held = rest.to_vec();
        }
        let bytes = held.get(..passed).unwrap_or_default().to_vec();
        Passed {
            bytes,
            is_cut,
            is_broken,
        }
    }

    /// What ends an answer here that was cut between two events.
    #[must_use]
    pub const fn closing(&self) -> &Closing {
        &self.closing
    }

    /// The first event, and what follows it; none: it is not over, or there are none. So many of
    /// its bytes have been looked at before.
    fn first<'r>(&self, rest: &'r [u8], looked_at: usize) -> Option<(&'r [u8], &'r [u8])> {
        let length = match self.framing {
            Framing::Lines => sse::event_length(rest, looked_at)?,
            Framing::Frames => frame::length(rest)?,
            Framing::Unknown | Framing::None => return None,
        };
        rest.split_at_checked(length)
    }

    /// Output tokens that an event shows at most.
    fn shown(&mut self, event: &[u8]) -> u64 {
        match self.framing {
            Framing::Lines => {
                let data = data_of(event);
                if data.is_empty() || data == b"[DONE]" {
                    return 0;
                }
                let Ok(value) = serde_json::from_slice::<Value>(&data) else {
                    return data.len() as u64;
                };
                self.closing.learn(&value);
                shown::of_event(self.wire, &value)
            }
            Framing::Frames => match frame::event(event) {
                Some(value) => {
                    self.closing.learn(&value);
                    shown::of_event(self.wire, &value)
                }
                None => event.len() as u64,
            },
            Framing::Unknown | Framing::None => event.len() as u64,
        }
    }
}

/// The data of an event.
fn data_of(event: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    for line in event.split(|byte| matches!(byte, b'\n' | b'\r')) {
        if let Some(value) = line.strip_prefix(b"data:") {
            if !data.is_empty() {
                data.push(b'\n');
            }
            data.extend_from_slice(value);
        }
    }
    data.trim_ascii().to_vec()
}

#[cfg(test)]
mod tests;
