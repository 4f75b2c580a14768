//! What the two sides of a realtime session say, read as the bytes of its WebSocket pass by.
//! Nothing is kept but where a message is and the few members that decisions need.
//! Source: `platform.openai.com/docs/api-reference/realtime-client-events` and
//! `-server-events`.

mod frames;

use std::ops::Range;

use sekisho_domain::Usage;

use crate::json::{Fault, Kind, Scanner, Visit};
use crate::openai::{USAGE, member};
use crate::usage::Figure;
use crate::usage::tally::Tally;
use frames::{Frames, Part};

/// Longer names of events match none.
const MAX_WORD: usize = 64;

/// What a side of a session may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocketFault {
    /// No frames of text as RFC 6455 has them: compressed, binary, masked by the wrong side.
    #[error("frames that cannot be read: compressed, binary or broken")]
    Frames,
    /// A client's message is not one JSON object, or names a member twice.
    #[error("a message that is not one JSON object")]
    Message,
    /// The session is to transcribe its input, which another model would be charged for.
    #[error("a transcription of the input, which another model is charged for")]
    Transcription,
    /// The session is to use another model than it was permitted.
    #[error("another model than the session was permitted")]
    OtherModel,
}

/// What a client's message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// It asks for an answer.
    AsksForResponse,
}

/// What a server's message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// An answer begins.
    ResponseBegins,
    /// An answer has ended. `None`: its usage was not reported; nothing, if it failed.
    ResponseEnds(Option<Usage>),
    /// An answer that was asked for is not given, because another is under way.
    ResponseRefused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Type,
    Model,
    Transcription,
    Within,
}

const CLIENT: &[crate::json::Member<Said>] = &[
    member("type", Said::Type, Kind::Text),
    member(
        "session",
        Said::Within,
        Kind::Object(&[
            member("model", Said::Model, Kind::Text),
            member(
                "input_audio_transcription",
                Said::Transcription,
                Kind::Object(&[]),
            ),
            member(
                "audio",
                Said::Within,
                Kind::Object(&[member(
                    "input",
                    Said::Within,
                    Kind::Object(&[member(
                        "transcription",
                        Said::Transcription,
                        Kind::Object(&[]),
                    )]),
                )]),
            ),
        ]),
    ),
];

const SERVER: &[crate::json::Member<Figure>] = &[
    member("type", Figure::EventType, Kind::Text),
    member(
        "response",
        Figure::Within,
        Kind::Object(&[
            member("status", Figure::Status, Kind::Text),
            member("usage", Figure::Within, Kind::Object(USAGE)),
        ]),
    ),
    member(
        "error",
        Figure::Within,
        Kind::Object(&[member("code", Figure::ErrorCode, Kind::Text)]),
    ),
];

/// A short text that comes in pieces.
#[derive(Debug, Default)]
struct Word(Vec<u8>);

impl Word {
    fn add(&mut self, part: &[u8]) {
        let room = MAX_WORD.saturating_sub(self.0.len()) + 1;
        self.0
            .extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
    }

    fn is(&self, word: &str) -> bool {
        self.0 == word.as_bytes()
    }
}

/// Reads what the client says. The model must be one of these names, if it names one.
pub struct ClientSide {
    frames: Frames,
    scanner: Scanner<Said, true>,
    message: ClientMessage,
    models: Vec<String>,
}

#[derive(Default)]
struct ClientMessage {
    event: Word,
    model: Word,
    /// One bit for each member that was there.
    seen: u8,
    names_model: bool,
    transcribes: bool,
}

impl Visit for ClientMessage {
    type Field = Said;

    fn member(&mut self, field: Said) -> Result<(), Fault> {
        let bit = match field {
            Said::Type => 1,
            Said::Model => 2,
            // Two forms of one option; whichever is there counts.
            Said::Transcription | Said::Within => return Ok(()),
        };
        if self.seen & bit != 0 {
            return Err(Fault::Duplicate);
        }
        self.seen |= bit;
        Ok(())
    }

    fn text(&mut self, field: Said, part: &[u8]) -> Result<(), Fault> {
        match field {
            Said::Type => self.event.add(part),
            Said::Model => self.model.add(part),
            Said::Transcription | Said::Within => {}
        }
        Ok(())
    }

    fn text_end(&mut self, field: Said, _span: Range<u64>) {
        self.names_model |= field == Said::Model;
    }

    fn object(&mut self, field: Option<Said>, _inside: u64) {
        self.transcribes |= field == Some(Said::Transcription);
    }
}

impl ClientSide {
    /// Of a session that was permitted for the model of these names.
    #[must_use]
    pub fn new(models: Vec<String>) -> Self {
        Self {
            frames: Frames::of_client(),
            scanner: Scanner::new(CLIENT),
            message: ClientMessage::default(),
            models,
        }
    }

    /// Reads the next bytes. An event is told when the last byte of its message has come.
    ///
    /// # Errors
    /// [`SocketFault`]: the session must not go on.
    pub fn push(
        &mut self,
        bytes: &[u8],
        mut tell: impl FnMut(ClientEvent),
    ) -> Result<(), SocketFault> {
        let Self {
            frames,
            scanner,
            message,
            models,
        } = self;
        frames.push(bytes, |part| match part {
            Part::Text(text) => scanner
                .push(text, message)
                .map_err(|_| SocketFault::Message),
            Part::End => {
                let whole = scanner.is_complete();
                scanner.reset();
                let said = std::mem::take(message);
                if !whole {
                    return Err(SocketFault::Message);
                }
                if said.transcribes || said.event.is("transcription_session.update") {
                    return Err(SocketFault::Transcription);
                }
                if said.names_model && !models.iter().any(|model| said.model.is(model)) {
                    return Err(SocketFault::OtherModel);
                }
                if said.event.is("response.create") {
                    tell(ClientEvent::AsksForResponse);
                }
                Ok(())
            }
        })
    }
}

/// Reads what the server says.
pub struct ServerSide {
    frames: Frames,
    scanner: Scanner<Figure, false>,
    message: ServerMessage,
}

struct ServerMessage {
    event: Word,
    status: Word,
    error: Word,
    tally: Tally,
}

impl Default for ServerMessage {
    fn default() -> Self {
        Self {
            event: Word::default(),
            status: Word::default(),
            error: Word::default(),
            tally: Tally::EMPTY,
        }
    }
}

impl Visit for ServerMessage {
    type Field = Figure;

    fn member(&mut self, figure: Figure) -> Result<(), Fault> {
        self.tally.member(figure)
    }

    fn text(&mut self, figure: Figure, part: &[u8]) -> Result<(), Fault> {
        match figure {
            Figure::EventType => self.event.add(part),
            Figure::Status => self.status.add(part),
            Figure::ErrorCode => self.error.add(part),
            _ => return self.tally.text(figure, part),
        }
        Ok(())
    }

    fn count(&mut self, figure: Figure, value: u64, span: Range<u64>) {
        self.tally.count(figure, value, span);
    }
}

impl ServerMessage {
    fn event(&self) -> Option<ServerEvent> {
        if self.event.is("response.created") {
            return Some(ServerEvent::ResponseBegins);
        }
        if self.event.is("response.done") {
            let whole = self.tally.has(Figure::Input) && self.tally.has(Figure::Output);
            let usage = self.tally.usage(false).filter(|_| whole);
            let failed = self.status.is("failed").then(Usage::default);
            return Some(ServerEvent::ResponseEnds(usage.or(failed)));
        }
        let refused =
            self.event.is("error") && self.error.is("conversation_already_has_active_response");
        refused.then_some(ServerEvent::ResponseRefused)
    }
}

impl Default for ServerSide {
    fn default() -> Self {
        Self {
            frames: Frames::of_server(),
            scanner: Scanner::new(SERVER),
            message: ServerMessage::default(),
        }
    }
}

impl ServerSide {
    /// Reads the next bytes. An event is told when the last byte of its message has come. A
    /// message that is no JSON says nothing.
    ///
    /// # Errors
    /// [`SocketFault::Frames`]: from here on nothing can be told.
    pub fn push(
        &mut self,
        bytes: &[u8],
        mut tell: impl FnMut(ServerEvent),
    ) -> Result<(), SocketFault> {
        let Self {
            frames,
            scanner,
            message,
        } = self;
        frames.push(bytes, |part| {
            match part {
                Part::Text(text) => {
                    let (Ok(()) | Err(_)) = scanner.push(text, message);
                }
                Part::End => {
                    scanner.reset();
                    if let Some(event) = std::mem::take(message).event() {
                        tell(event);
                    }
                }
            }
            Ok(())
        })
    }

    /// Whether a frame of ours could stand here: none is under way.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.frames.is_between()
    }
}

#[cfg(test)]
mod tests;
