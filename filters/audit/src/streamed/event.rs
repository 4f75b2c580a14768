//! One event, until all of its texts are decided.

use std::collections::VecDeque;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{frame, json};
use crate::redact::{SECRET, Sink};

/// An event that is held.
#[derive(Debug, Default)]
pub(super) struct Event {
    /// As it came.
    pub(super) raw: Vec<u8>,
    /// Where its texts are not in `raw` themselves.
    pub(super) payload: Option<Payload>,
    pub(super) slots: Vec<Slot>,
    /// What goes as soon as anything does.
    pub(super) doubtful: Vec<Range<usize>>,
    /// Bytes of `slots` that are not decided.
    pub(super) open: usize,
}

/// What a frame has.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) headers: Vec<u8>,
    pub(super) has_changed_headers: bool,
    /// The document.
    pub(super) text: Vec<u8>,
    /// The payload in which the document stands in base64, and where.
    pub(super) around: Option<(Vec<u8>, Range<usize>)>,
}

/// What a text may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Within quotes of JSON.
    Quoted,
    /// A number of JSON.
    Number,
    /// A line.
    Line,
}

/// A text of an event, and what becomes of it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) range: Range<usize>,
    pub(super) shape: Shape,
    pub(super) out: Vec<u8>,
    pub(super) is_changed: bool,
}

impl Event {
    /// Bytes that it takes while it is held.
    pub(super) fn size(&self) -> usize {
        let payload = self.payload.as_ref();
        self.raw.len() + payload.map_or(0, |payload| payload.text.len())
    }

    /// What is kept of it.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let Self {
            raw,
            payload,
            mut slots,
            mut doubtful,
            ..
        } = self;
        slots.retain(|slot| slot.is_changed);
        let has_changed_headers = payload.as_ref().is_some_and(|it| it.has_changed_headers);
        if slots.is_empty() && !has_changed_headers {
            return raw;
        }
        if slots.is_empty() {
            doubtful.clear();
        }
        let mut edits: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
        edits.extend(doubtful.into_iter().map(|range| (range, b"null".to_vec())));
        edits.extend(slots.into_iter().map(Slot::edit));
        let Some(payload) = payload else {
            return edited(&raw, edits);
        };
        let text = edited(&payload.text, edits);
        let text = match payload.around {
            None => text,
            Some((around, at)) => edited(&around, vec![(at, STANDARD.encode(text).into_bytes())]),
        };
        frame::write(&payload.headers, &text)
    }
}

impl Slot {
    fn edit(self) -> (Range<usize>, Vec<u8>) {
        let with = match self.shape {
            // What was half of an escape is none.
            Shape::Quoted if !json::is_string(&self.out) => SECRET.to_vec(),
            Shape::Quoted | Shape::Line => self.out,
            Shape::Number => [b"\"", self.out.as_slice(), b"\""].concat(),
        };
        (self.range, with)
    }
}

/// A text with other text in some places; what stands within another place goes with it.
fn edited(text: &[u8], mut edits: Vec<(Range<usize>, Vec<u8>)>) -> Vec<u8> {
    // Of those that begin together, the one that takes more.
    edits.sort_by_key(|(range, _)| (range.start, usize::MAX - range.end));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for (range, with) in edits {
        if range.start < at {
            continue;
        }
        out.extend_from_slice(text.get(at..range.start).unwrap_or_default());
        out.extend_from_slice(&with);
        at = range.end;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out
}

/// A piece of a text that stands in several events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Number of the event.
    pub(super) event: u64,
    pub(super) slot: usize,
    /// Bytes that are not decided.
    pub(super) left: usize,
}

/// Puts what is decided of a text into the events from which it came.
pub(super) struct Places<'p> {
    pub(super) events: &'p mut VecDeque<Event>,
    /// Number of the first of them.
    pub(super) first: u64,
    pub(super) pieces: &'p mut VecDeque<Piece>,
}

impl Places<'_> {
    /// Event and slot of the first piece that is not decided.
    fn slot(&mut self) -> Option<(&mut Event, usize)> {
        let piece = self.pieces.front()?;
        let at = usize::try_from(piece.event.checked_sub(self.first)?).ok()?;
        Some((self.events.get_mut(at)?, piece.slot))
    }

    /// Passes so many bytes, piece by piece.
    fn pass(&mut self, mut bytes: usize, mut each: impl FnMut(&mut Slot, usize)) {
        while bytes > 0 {
            let Some(piece) = self.pieces.front_mut() else {
                return;
            };
            let part = bytes.min(piece.left);
            piece.left -= part;
            let is_over = piece.left == 0;
            if let Some((event, slot)) = self.slot() {
                event.open = event.open.saturating_sub(part);
                if let Some(slot) = event.slots.get_mut(slot) {
                    each(slot, part);
                }
            }
            if is_over {
                self.pieces.pop_front();
            }
            bytes -= part;
        }
    }
}

impl Sink for Places<'_> {
    fn stays(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        self.pass(bytes.len(), |slot, part| {
            let (stays, after) = rest.split_at_checked(part).unwrap_or((rest, &[]));
            slot.out.extend_from_slice(stays);
            rest = after;
        });
    }

    fn mark(&mut self, mark: &'static [u8]) {
        if let Some((event, slot)) = self.slot()
            && let Some(slot) = event.slots.get_mut(slot)
        {
            slot.out.extend_from_slice(mark);
            slot.is_changed = true;
        }
    }

    fn goes(&mut self, bytes: usize) {
        self.pass(bytes, |slot, _| slot.is_changed = true);
    }
}
