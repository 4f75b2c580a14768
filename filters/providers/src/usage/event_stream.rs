//! Frames of an AWS event stream (`application/vnd.amazon.eventstream`): a prelude of
//! total length, header length and checksum, then headers, payload, checksum of all.
//! Source: `docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html`.

use crc32fast::Hasher;

/// Longest frame that is believed, bytes. AWS documents 16 MiB of payload.
const MAX_FRAME: u32 = 24 * 1024 * 1024;
/// Most bytes of headers that are looked at; frames with more are passed over.
const MAX_HEADERS: u32 = 4096;
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

/// What a frame's payload is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// JSON that reports usage itself (`metadata` of Converse).
    Usage,
    /// JSON whose member `bytes` is an event of the model's family in base64 (`chunk`).
    Wrapped,
    /// What went wrong, in the middle of an answer that began well.
    Exception,
    /// Neither.
    Other,
}

/// A piece of a frame.
pub(super) enum Event<'a> {
    /// A frame of interest begins.
    Begin(Payload),
    /// More of its payload.
    Data(&'a [u8]),
    /// It is over and its checksum is right.
    Proven,
}

enum Place {
    Prelude,
    /// `held`: whether they are short enough to be looked at.
    Headers {
        held: bool,
    },
    Payload,
    Checksum,
    /// A checksum or length was wrong: where the next frame begins nobody knows.
    Lost,
}

/// The state between two chunks.
pub(super) struct EventStream {
    place: Place,
    /// Bytes of the place that are still to come.
    left: u32,
    payload_length: u32,
    /// Prelude, or checksum; then, if they are of interest, headers.
    held: Vec<u8>,
    hasher: Hasher,
    payload: Payload,
}

impl EventStream {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Prelude,
            left: PRELUDE as u32,
            payload_length: 0,
            held: Vec::new(),
            hasher: Hasher::new(),
            payload: Payload::Other,
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8], mut sink: impl FnMut(Event<'_>)) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let length = rest.len().min(self.left as usize);
            let (part, next) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = next;
            self.left -= u32::try_from(part.len()).unwrap_or(self.left);
            match self.place {
                Place::Prelude | Place::Checksum => self.held.extend_from_slice(part),
                Place::Headers { held } => {
                    self.hasher.update(part);
                    if held {
                        self.held.extend_from_slice(part);
                    }
                }
                Place::Payload if self.payload != Payload::Other => {
                    self.hasher.update(part);
                    sink(Event::Data(part));
                }
                Place::Payload => {}
                Place::Lost => return,
            }
            while self.left == 0 && !matches!(self.place, Place::Lost) {
                self.advance(&mut sink);
            }
        }
    }

    /// Goes to the next place, once all bytes of this one are there.
    fn advance(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        match self.place {
            Place::Prelude => self.begin_frame(),
            Place::Headers { .. } => {
                self.payload = payload(&self.held);
                if self.payload != Payload::Other {
                    sink(Event::Begin(self.payload));
                }
                self.place = Place::Payload;
                self.left = self.payload_length;
            }
            Place::Payload => {
                self.held.clear();
                self.place = Place::Checksum;
                self.left = CHECKSUM as u32;
            }
            Place::Checksum => {
                let right = std::mem::take(&mut self.hasher).finalize().to_be_bytes();
                if self.payload != Payload::Other {
                    if self.held != right {
                        self.place = Place::Lost;
                        return;
                    }
                    sink(Event::Proven);
                }
                self.held.clear();
                self.place = Place::Prelude;
                self.left = PRELUDE as u32;
            }
            Place::Lost => {}
        }
    }

    fn begin_frame(&mut self) {
        let word = |at: usize| {
            let bytes = self.held.get(at..).and_then(<[u8]>::first_chunk::<4>);
            bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
        };
        let (total, headers, checksum) = (word(0), word(4), word(8));
        let lengths = self.held.get(..8).unwrap_or_default();
        let payload = total
            .checked_sub((PRELUDE + CHECKSUM) as u32)
            .and_then(|inner| inner.checked_sub(headers));
        match payload {
            Some(payload) if total <= MAX_FRAME && crc32fast::hash(lengths) == checksum => {
                self.hasher = Hasher::new();
                self.hasher.update(&self.held);
                self.held.clear();
                self.payload_length = payload;
                self.place = Place::Headers {
                    held: headers <= MAX_HEADERS,
                };
                self.left = headers;
            }
            _ => self.place = Place::Lost,
        }
    }
}

/// What the headers say the payload is.
fn payload(headers: &[u8]) -> Payload {
    // Exceptions have a type of their own, errors a code and nothing else.
    match (
        header(headers, b":message-type"),
        header(headers, b":event-type"),
    ) {
        (Some(b"exception" | b"error"), _) => Payload::Exception,
        (_, Some(b"metadata")) => Payload::Usage,
        (_, Some(b"chunk")) => Payload::Wrapped,
        _ => Payload::Other,
    }
}

/// The value of a text header.
fn header<'h>(mut rest: &'h [u8], wanted: &[u8]) -> Option<&'h [u8]> {
    loop {
        let (length, after) = rest.split_first()?;
        let (name, after) = after.split_at_checked(usize::from(*length))?;
        let (kind, after) = after.split_first()?;
        let (size, after) = match kind {
            0 | 1 => (0, after),
            2 => (1, after),
            3 => (2, after),
            4 => (4, after),
            5 | 8 => (8, after),
            6 | 7 => {
                let (length, after) = after.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*length)), after)
            }
            9 => (16, after),
            _ => return None,
        };
        let (value, after) = after.split_at_checked(size)?;
        if name == wanted && *kind == 7 {
            return Some(value);
        }
        rest = after;
    }
}
