//! Reads what a call used from its answer as the answer streams by.

mod event_stream;
mod sse;
pub(crate) mod tally;
mod wrapped;

use sekisho_domain::Usage;

use crate::Operation;
use crate::json::{Member, Scanner};
use event_stream::{EventStream, Payload};
use sse::{Part, Sse};
use tally::Tally;
use wrapped::Wrapped;

pub(crate) use wrapped::Unwrapped;

/// What a watched member of an answer means. Those after `End` are no numbers of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Input tokens.
    Input,
    /// Input tokens of tool results, counted apart from `Input`.
    ToolInput,
    /// The part of `Input` that came from a cache.
    CachedInput,
    /// Input tokens that came from a cache, counted apart from `Input`.
    CacheRead,
    /// The part of `Input` that went to a cache.
    CacheWriteInput,
    /// Input tokens that went to a cache, counted apart from `Input`.
    CacheWrite,
    /// The part of the input that was sound.
    AudioInput,
    /// The part of the input that was pictures.
    ImageInput,
    /// Output tokens.
    Output,
    /// The part of `Output` that was reasoning.
    Reasoning,
    /// Reasoning tokens, counted apart from `Output`.
    Thoughts,
    /// The part of the output that was sound.
    AudioOutput,
    /// The part of the output that was pictures.
    ImageOutput,
    /// Tokens of the modality that stands beside them.
    OfModality,
    /// Says that the answer is at its end.
    End,
    /// A list of input tokens by modality.
    InputModalities,
    /// A list of the input tokens of tool results by modality.
    ToolModalities,
    /// A list of output tokens by modality.
    OutputModalities,
    /// The modality of tokens that stand beside it.
    Modality,
    /// The kind of an event of a session.
    EventType,
    /// What became of a response in a session.
    Status,
    /// What an error event is about.
    ErrorCode,
    /// A container of such members.
    Within,
}

// Of each figure one bit says whether it was seen.
const _: () = assert!(FIGURES <= 32);

/// How many figures there are.
const FIGURES: usize = Figure::Within as usize + 1;

/// What makes the figures of a stream final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complete {
    /// Output tokens come once, at the end.
    Output,
    /// [`Figure::End`] comes with them.
    End,
}

/// Where answers report usage.
pub(crate) struct Answer {
    pub(crate) members: &'static [Member<Figure>],
    pub(crate) complete: Complete,
    /// Whether everything watched is under a member whose name begins with `usage`.
    pub(crate) only_under_usage: bool,
    /// Whether output of which nothing else is said is pictures.
    pub(crate) draws: bool,
}

type Figures = Scanner<Figure, false>;

/// Reads usage from an answer as it streams by, whatever the framing: JSON, server-sent
/// events, AWS event stream. Memory is bounded; the result does not depend on where the
/// chunks were cut. An answer that breaks its format is read up to there.
pub struct UsageMeter {
    answer: &'static Answer,
    generates: bool,
    framing: Framing,
    tally: Tally,
}

enum Framing {
    /// Nothing has come yet.
    Unknown,
    Json(Box<Figures>),
    Sse(Box<(Sse, Figures)>),
    EventStream(Box<Framed>),
}

/// Frames of an AWS event stream; what one says counts once its checksum is right.
struct Framed {
    frames: EventStream,
    scanner: Figures,
    wrapped: Wrapped,
    payload: Payload,
    tally: Tally,
    broke_off: bool,
}

impl Framing {
    /// By an answer's first byte, white space aside: JSON is an object or an array, a frame
    /// of an event stream begins with the high byte of its length, which stays under 16 MiB,
    /// and everything else is lines. Cheaper for a filter than asking for `content-type`,
    /// and whatever the provider says, only what can be read counts.
    fn of(first: u8, answer: &'static Answer) -> Self {
        let scanner = || Scanner::new(answer.members);
        match first {
            b'{' | b'[' => Self::Json(Box::new(scanner())),
            0 => Self::EventStream(Box::new(Framed {
                frames: EventStream::new(),
                scanner: scanner(),
                wrapped: Wrapped::new(),
                payload: Payload::Other,
                tally: Tally::EMPTY,
                broke_off: false,
            })),
            _ => Self::Sse(Box::new((Sse::new(), scanner()))),
        }
    }
}

impl UsageMeter {
    /// A meter for the answer to a request for `operation`.
    #[must_use]
    pub const fn new(operation: &'static Operation) -> Self {
        Self {
            answer: operation.answer,
            generates: operation.generates,
            framing: Framing::Unknown,
            tally: Tally::EMPTY,
        }
    }

    /// Reads the next chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut chunk = chunk;
        if matches!(self.framing, Framing::Unknown) {
            chunk = chunk.trim_ascii_start();
            let Some(first) = chunk.first() else { return };
            self.framing = Framing::of(*first, self.answer);
        }
        let tally = &mut self.tally;
        match &mut self.framing {
            Framing::Unknown => {}
            Framing::Json(scanner) => read(scanner, chunk, tally),
            Framing::Sse(sse) => {
                let (lines, scanner) = &mut **sse;
                lines.push(chunk, self.answer.only_under_usage, |part| match part {
                    Part::Data(data) => read(scanner, data, tally),
                    Part::End => scanner.reset(),
                });
            }
            Framing::EventStream(framed) => framed.push(chunk, tally),
        }
    }

    /// Whether the provider has said in the answer itself that it failed: an exception of an AWS
    /// event stream, whose status was 200 when it began.
    #[must_use]
    pub fn broke_off(&self) -> bool {
        matches!(&self.framing, Framing::EventStream(framed) if framed.broke_off)
    }

    /// What the provider reported; the latest figures count. None if it reported
    /// nothing or only a part, as when a stream broke off.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        let streamed = match &self.framing {
            Framing::Unknown => return None,
            Framing::Json(scanner) => scanner.is_array(),
            Framing::Sse(_) | Framing::EventStream(_) => true,
        };
        let whole = match self.answer.complete {
            Complete::Output if streamed || self.generates => {
                self.tally.has(Figure::Input) && self.tally.has(Figure::Output)
            }
            Complete::End if streamed => self.tally.has(Figure::End),
            _ => true,
        };
        if !whole {
            return None;
        }
        self.tally.usage(self.answer.draws)
    }
}

/// Scans on; an answer that is not what it should be is read no further.
fn read(scanner: &mut Figures, chunk: &[u8], tally: &mut Tally) {
    let (Ok(()) | Err(_)) = scanner.push(chunk, tally);
}

impl Framed {
    fn push(&mut self, chunk: &[u8], tally: &mut Tally) {
        let Self {
            frames,
            scanner,
            wrapped,
            payload,
            tally: unproven,
            broke_off,
        } = self;
        frames.push(chunk, |event| match event {
            event_stream::Event::Begin(kind) => {
                *payload = kind;
                *unproven = *tally;
                scanner.reset();
                wrapped.reset();
            }
            event_stream::Event::Data(data) => match payload {
                Payload::Usage => read(scanner, data, unproven),
                Payload::Wrapped => {
                    wrapped.push(data, |inner| read(scanner, inner, unproven));
                }
                Payload::Exception | Payload::Other => {}
            },
            event_stream::Event::Proven if *payload == Payload::Exception => *broke_off = true,
            event_stream::Event::Proven => *tally = *unproven,
        });
    }
}

#[cfg(test)]
mod tests;
