//! Takes secrets out of an answer that comes in events, also those that are said in pieces over
//! several of them.
//!
//! Texts that stand at the same place of one event after another are one text. An event is held
//! until all of its texts are decided; then it is kept as it was, or with marks in the place of
//! what is taken out: each in the event in which that begins. What goes in others leaves nothing
//! behind, so whatever is kept is as well-formed as what came. The outcome does not depend on how
//! the answer was cut into chunks.

mod event;
mod frame;
mod framing;
mod json;
mod lanes;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sekisho_domain::Cut;

use crate::redact::{Redaction, Redactor, SECRET_NAME, SECRET_NUMBER, Sink, is_secret_name};
use event::{Event, Payload, Piece, Shape, Slot};
use framing::{Fields, Looked, is_between};
use json::{Document, Kind};
use lanes::Lanes;

pub use framing::Framing;

/// Most bytes of events that are held behind one whose texts are not decided.
const MOST_BEHIND: usize = 64 * 1024;
/// What OpenAI's streams end with: no JSON, though it begins like some.
const DONE: &[u8] = b"[DONE]";
/// The text that events have as they are.
const PLAIN: u64 = 0;

/// Takes secrets out of one answer.
#[derive(Debug)]
pub struct Streamed {
    framing: Framing,
    /// Of an event that has not come whole.
    partial: Vec<u8>,
    looked: Looked,
    /// Events whose texts are not all decided, and those behind them.
    held: VecDeque<Event>,
    /// Number of the first of them.
    first: u64,
    /// Bytes that they take.
    bytes: usize,
    lanes: Lanes,
    /// For texts that stand by themselves.
    alone: Redactor,
    /// Bytes that may still be kept.
    room: usize,
    /// Whether events had text as it is, and no JSON.
    has_plain: bool,
}

impl Streamed {
    /// For one answer, of which no more than so many bytes are kept.
    #[must_use]
    pub fn new(redaction: Arc<Redaction>, framing: Framing, most: u64) -> Self {
        Self {
            framing,
            partial: Vec::new(),
            looked: Looked::default(),
            held: VecDeque::new(),
            first: 0,
            bytes: 0,
            alone: Redactor::new(Arc::clone(&redaction)),
            lanes: Lanes::new(redaction),
            room: usize::try_from(most).unwrap_or(usize::MAX),
            has_plain: false,
        }
    }

    /// Bytes that are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.partial.len() + self.bytes
    }

    /// Takes the next chunk in; adds to `out` the events that are decided by now.
    ///
    /// # Errors
    /// Why nothing more is kept: the next event does not fit ([`Cut::Limit`]), or is not what
    /// events are ([`Cut::Form`]).
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Cut> {
        self.partial.extend_from_slice(chunk);
        let all = std::mem::take(&mut self.partial);
        let mut rest = all.as_slice();
        while let Some(length) = self.framing.length(rest, &mut self.looked)? {
            let (event, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            self.event(event)?;
            self.pass_on(out)?;
            rest = after;
        }
        if rest.len() > self.room {
            return Err(Cut::Limit);
        }
        self.partial = rest.to_vec();
        Ok(())
    }

    /// The answer has ended: adds the rest to `out`.
    ///
    /// # Errors
    /// As of [`Streamed::push`]; what ends in the middle of an event is not what events are.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Cut> {
        let rest = std::mem::take(&mut self.partial);
        let last = match self.framing {
            _ if rest.is_empty() => Ok(()),
            Framing::Frames => Err(Cut::Form),
            Framing::Lines | Framing::Values => self.event(&rest),
        };
        self.lanes.end((&mut self.held, self.first));
        self.pass_on(out)?;
        last
    }

    /// Adds the events that are decided, up to the first that is not. One that holds back too much
    /// is decided.
    fn pass_on(&mut self, out: &mut Vec<u8>) -> Result<(), Cut> {
        while let Some(front) = self.held.front() {
            if front.open > 0 {
                if self.bytes - front.size() <= MOST_BEHIND {
                    break;
                }
                self.lanes.take_out((&mut self.held, self.first));
            }
            let decided = self.held.pop_front().filter(|event| event.open == 0);
            let event = decided.ok_or(Cut::Memory)?;
            self.first += 1;
            self.bytes -= event.size();
            let bytes = event.into_bytes();
            self.room = self.room.checked_sub(bytes.len()).ok_or(Cut::Limit)?;
            out.extend_from_slice(&bytes);
        }
        Ok(())
    }

    /// Takes an event in.
    fn event(&mut self, raw: &[u8]) -> Result<(), Cut> {
        if raw.len() > self.room {
            return Err(Cut::Limit);
        }
        self.bytes += raw.len();
        self.held.push_back(Event {
            raw: raw.to_vec(),
            ..Event::default()
        });
        let read = match self.framing {
            Framing::Lines => self.lines(raw),
            Framing::Values => self.value(raw),
            Framing::Frames => self.frame(raw),
        };
        if read.is_err() {
            // Nobody has looked at it.
            let unread = self.held.pop_back();
            self.bytes -= unread.map_or(0, |event| event.size());
            return read;
        }
        self.lanes.let_go((&mut self.held, self.first));
        Ok(())
    }

    /// A value, and what stands before it.
    fn value(&mut self, raw: &[u8]) -> Result<(), Cut> {
        let begin = raw.iter().position(|byte| !is_between(*byte));
        let Some((begin, value)) = begin.and_then(|at| Some((at, raw.get(at..)?))) else {
            return Ok(());
        };
        let document = json::read(value).ok_or(Cut::Form)?;
        let in_raw = |range: Range<usize>| range.start + begin..range.end + begin;
        self.document(&document, value, &in_raw);
        Ok(())
    }

    /// A server-sent event.
    fn lines(&mut self, raw: &[u8]) -> Result<(), Cut> {
        let fields = Fields::of(raw);
        for other in fields.others {
            self.by_itself(raw, other.clone(), other, (false, Shape::Line));
        }
        // Lines of data are one text, with line feeds between them.
        let mut data = Vec::new();
        let mut begins = Vec::new();
        for line in &fields.data {
            if !begins.is_empty() {
                data.push(b'\n');
            }
            begins.push((data.len(), line.start));
            data.extend_from_slice(raw.get(line.clone()).unwrap_or_default());
        }
        let is_done = data.trim_ascii() == DONE;
        let document = match data.trim_ascii_start() {
            _ if is_done => return Ok(()),
            [b'{' | b'[' | b'"', ..] => json::read(&data),
            _ => None,
        };
        if let Some(document) = document {
            // Nothing that is looked at goes over several lines.
            let in_raw = |range: Range<usize>| {
                let place = |at: usize| {
                    let line = begins.iter().rev().find(|(begin, _)| *begin <= at);
                    line.map_or(at, |(begin, start)| start + (at - begin))
                };
                place(range.start)..place(range.end)
            };
            self.document(&document, &data, &in_raw);
            return Ok(());
        }
        // Where there was text before, this may be some, too.
        if matches!(data.trim_ascii_start(), [b'{' | b'[', ..]) && !self.has_plain {
            return Err(Cut::Form);
        }
        self.has_plain |= !data.trim_ascii().is_empty();
        for (number, line) in fields.data.into_iter().enumerate() {
            let bytes = raw.get(line.clone()).unwrap_or_default();
            self.piece(PLAIN, (false, number > 0), bytes, line, Shape::Line);
        }
        Ok(())
    }

    /// A frame of an AWS event stream.
    fn frame(&mut self, raw: &[u8]) -> Result<(), Cut> {
        let read = frame::read(raw).map_err(|_| Cut::Form)?;
        let mut has_changed_headers = false;
        let headers = frame::with_texts(read.headers, |text| {
            let changed = self.changed(text, None);
            has_changed_headers |= changed.is_some();
            changed
        });
        let headers = headers.ok_or(Cut::Form)?;
        let mut payload = Payload {
            headers,
            has_changed_headers,
            text: read.payload.to_vec(),
            around: None,
        };
        if read.payload.is_empty() {
            self.carry(payload);
            return Ok(());
        }
        let outer = json::read(read.payload).ok_or(Cut::Form)?;
        // An event of the model's family, in base64.
        let wrapped = outer.leaves.iter().find(|leaf| {
            let name = read.payload.get(leaf.name.clone());
            leaf.kind == Kind::Text && leaf.is_outermost() && name == Some(b"bytes")
        });
        let document = match wrapped {
            None => outer,
            Some(wrapped) => {
                let range = wrapped.range.clone();
                let encoded = read.payload.get(range.clone()).unwrap_or_default();
                let decoded = STANDARD.decode(encoded).map_err(|_| Cut::Form)?;
                let document = json::read(&decoded).ok_or(Cut::Form)?;
                payload.around = Some((std::mem::replace(&mut payload.text, decoded), range));
                document
            }
        };
        let text = payload.text.clone();
        self.carry(payload);
        self.document(&document, &text, &|range| range);
        Ok(())
    }

    /// The last event is a frame with this.
    fn carry(&mut self, payload: Payload) {
        if let Some(event) = self.held.back_mut() {
            self.bytes += payload.text.len();
            event.payload = Some(payload);
        }
    }

    /// The texts of a document, which is in the last event. `place`: where there.
    fn document(
        &mut self,
        document: &Document,
        json: &[u8],
        place: &dyn Fn(Range<usize>) -> Range<usize>,
    ) {
        if let Some(event) = self.held.back_mut() {
            let doubtful = document.probabilities.iter().cloned();
            event.doubtful = doubtful.map(place).collect();
        }
        for leaf in &document.leaves {
            let name = json.get(leaf.name.clone()).unwrap_or_default();
            let is_secret = !name.is_empty() && is_secret_name(name);
            let (range, at) = (leaf.range.clone(), place(leaf.range.clone()));
            match (leaf.kind, leaf.lane) {
                (Kind::Number, _) => self.by_itself(json, range, at, (is_secret, Shape::Number)),
                (_, Some(lane)) => {
                    let bytes = json.get(range).unwrap_or_default();
                    self.piece(lane, (is_secret, false), bytes, at, Shape::Quoted);
                }
                (_, None) => self.by_itself(json, range, at, (is_secret, Shape::Quoted)),
            }
        }
    }

    /// A piece of a text, in the last event.
    fn piece(
        &mut self,
        lane: u64,
        how: (bool, bool),
        bytes: &[u8],
        range: Range<usize>,
        shape: Shape,
    ) {
        let event = self.first + (self.held.len() as u64).saturating_sub(1);
        let Some(held) = self.held.back_mut().filter(|_| !bytes.is_empty()) else {
            return;
        };
        held.slots.push(Slot {
            range,
            shape,
            out: Vec::new(),
            is_changed: false,
        });
        held.open += bytes.len();
        let piece = Piece {
            event,
            slot: held.slots.len() - 1,
            left: bytes.len(),
        };
        let held = (&mut self.held, self.first);
        self.lanes.push(lane, how, piece, bytes, held);
    }

    /// A text of the last event that stands by itself.
    fn by_itself(
        &mut self,
        text: &[u8],
        range: Range<usize>,
        at: Range<usize>,
        (is_secret, shape): (bool, Shape),
    ) {
        let text = text.get(range).unwrap_or_default();
        let name = match shape {
            Shape::Number => SECRET_NUMBER,
            Shape::Quoted | Shape::Line => SECRET_NAME,
        };
        let changed = self.changed(text, is_secret.then_some(name));
        if let (Some(out), Some(event)) = (changed, self.held.back_mut()) {
            event.slots.push(Slot {
                range: at,
                shape,
                out,
                is_changed: true,
            });
        }
    }

    /// A text without what is secret, if anything is.
    fn changed(&mut self, text: &[u8], name: Option<&'static [u8]>) -> Option<Vec<u8>> {
        let mut out = Changed::default();
        self.alone.begin_anew();
        if let Some(name) = name {
            self.alone.imagine(name);
        }
        self.alone.take(text, &mut out);
        self.alone.end(&mut out);
        out.is_changed.then_some(out.bytes)
    }
}

/// A text, and whether something was taken out of it.
#[derive(Default)]
struct Changed {
    bytes: Vec<u8>,
    is_changed: bool,
}

impl Sink for Changed {
    fn stays(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn mark(&mut self, mark: &'static [u8]) {
        self.bytes.extend_from_slice(mark);
        self.is_changed = true;
    }

    fn goes(&mut self, bytes: usize) {
        self.is_changed |= bytes > 0;
    }
}

#[cfg(test)]
mod tests;
