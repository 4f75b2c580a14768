//! What is kept of a body, as it passes.

use std::sync::Arc;

use sekisho_domain::Cut;

use crate::redact::{Redaction, Redactor};
use crate::streamed::{Framing, Streamed};

/// Largest piece that is handed over, bytes.
pub const MOST_PIECE: usize = 32 * 1024;

/// Keeps one body, up to a size.
#[derive(Debug)]
pub struct Keeper {
    /// Takes out what must not be kept.
    taking_out: TakingOut,
    /// What is ready and has not been handed over.
    ready: Vec<u8>,
    /// Bytes that were ready so far, handed over or not.
    kept: u64,
    most: u64,
    cut: Option<Cut>,
    /// Nothing follows.
    is_over: bool,
    pieces: u32,
}

/// How what must not be kept is taken out.
#[derive(Debug)]
enum TakingOut {
    /// Nothing is.
    Nothing,
    /// Of one text.
    Text(Box<Redactor>),
    /// Of events.
    Events(Box<Streamed>),
}

impl Keeper {
    /// Keeps at most so many bytes of what `redaction` leaves; without one, of the body as it is.
    #[must_use]
    pub fn new(redaction: Option<Arc<Redaction>>, most: u64) -> Self {
        Self {
            taking_out: redaction.map_or(TakingOut::Nothing, |redaction| {
                TakingOut::Text(Box::new(Redactor::new(redaction)))
            }),
            ready: Vec::new(),
            kept: 0,
            most,
            cut: None,
            is_over: false,
            pieces: 0,
        }
    }

    /// The body, of which nothing has come yet, is a stream of events.
    pub fn expect_events(&mut self, framing: Framing) {
        if let TakingOut::Text(redactor) = &self.taking_out {
            let redaction = redactor.redaction();
            let events = Streamed::new(redaction, framing, self.most);
            self.taking_out = TakingOut::Events(Box::new(events));
        }
    }

    /// Takes the next bytes in. Nothing of them is ready that could still be a part of what has to
    /// be taken out.
    pub fn push(&mut self, piece: &[u8]) {
        if self.cut.is_some() || self.is_over {
            return;
        }
        let before = self.ready.len();
        let mut cut = None;
        match &mut self.taking_out {
            TakingOut::Text(redactor) => redactor.push(piece, &mut self.ready),
            TakingOut::Events(events) => cut = events.push(piece, &mut self.ready).err(),
            TakingOut::Nothing => {
                // No more than one byte too many is copied.
                let room = usize::try_from(self.most - self.kept).unwrap_or(usize::MAX);
                let upto = piece.len().min(room.saturating_add(1));
                self.ready
                    .extend_from_slice(piece.get(..upto).unwrap_or_default());
            }
        }
        self.count(before);
        if let Some(why) = cut {
            self.stop(why);
        }
    }

    /// The body has ended.
    pub fn finish(&mut self) {
        self.is_over = true;
        let before = self.ready.len();
        let taking_out = std::mem::replace(&mut self.taking_out, TakingOut::Nothing);
        if self.cut.is_some() {
            return;
        }
        let mut cut = None;
        match taking_out {
            TakingOut::Text(mut redactor) => redactor.finish(&mut self.ready),
            TakingOut::Events(mut events) => cut = events.finish(&mut self.ready).err(),
            TakingOut::Nothing => {}
        }
        self.count(before);
        if let Some(why) = cut {
            self.stop(why);
        }
    }

    /// Keeps no more of it, for this reason.
    pub fn stop(&mut self, why: Cut) {
        if self.cut.is_none() {
            self.cut = Some(why);
            self.taking_out = TakingOut::Nothing;
        }
    }

    /// The next piece to hand over and its number, if at least so many bytes are ready.
    pub fn take(&mut self, least: usize) -> Option<(u32, Vec<u8>)> {
        if self.ready.is_empty() || self.ready.len() < least {
            return None;
        }
        let rest = self.ready.split_off(self.ready.len().min(MOST_PIECE));
        let piece = std::mem::replace(&mut self.ready, rest);
        let number = self.pieces;
        self.pieces += 1;
        Some((number, piece))
    }

    /// Bytes that are ready and have not been handed over, and of events that are not ready.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let events = match &self.taking_out {
            TakingOut::Events(events) => events.held(),
            TakingOut::Text(_) | TakingOut::Nothing => 0,
        };
        self.ready.len() + events
    }

    /// Bytes that were kept, and why that is not all.
    #[must_use]
    pub const fn kept(&self) -> (u64, Option<Cut>) {
        (self.kept, self.cut)
    }

    fn count(&mut self, before: usize) {
        let more = (self.ready.len() - before) as u64;
        let room = self.most - self.kept;
        if more > room {
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            self.ready.truncate(before.saturating_add(room));
            self.kept = self.most;
            self.stop(Cut::Limit);
        } else {
            self.kept += more;
        }
    }
}

/// Whether a body of this `content-type` is text that can be redacted.
#[must_use]
pub fn is_text(content_type: &[u8]) -> bool {
    let essence = essence(content_type);
    essence.starts_with(b"text/")
        || essence.ends_with(b"+json")
        || matches!(
            essence.as_slice(),
            b"application/json"
                | b"application/x-ndjson"
                | b"application/jsonl"
                | b"application/x-www-form-urlencoded"
        )
}

/// A `content-type` without its parameters, in lower case.
pub(crate) fn essence(content_type: &[u8]) -> Vec<u8> {
    let essence = content_type.split(|c| *c == b';').next();
    essence
        .unwrap_or_default()
        .trim_ascii()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction() -> Option<Arc<Redaction>> {
        Some(Arc::new(Redaction::new(Vec::new())))
    }

    fn kept(mut keeper: Keeper, pieces: &[&[u8]]) -> (String, Option<Cut>, usize) {
        let mut out = Vec::new();
        let mut count = 0;
        let mut take = |keeper: &mut Keeper, least| {
            while let Some((number, piece)) = keeper.take(least) {
                assert_eq!(number as usize, count);
                assert!(piece.len() <= MOST_PIECE);
                out.extend(piece);
                count += 1;
            }
        };
        for piece in pieces {
            keeper.push(piece);
            take(&mut keeper, MOST_PIECE);
        }
        keeper.finish();
        take(&mut keeper, 1);
        let (bytes, cut) = keeper.kept();
        assert_eq!(bytes, out.len() as u64);
        (String::from_utf8(out).unwrap(), cut, count)
    }

    #[test]
    fn a_body_is_kept_as_it_is_or_redacted_whatever_the_pieces() {
        let body = b"{\"card\": \"4111 1111 1111 1111\", \"a\": \"b\"}";
        let whole: &[&[u8]] = &[body];
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        for pieces in [whole, &bytes] {
            let (full, cut, count) = kept(Keeper::new(None, 1024), pieces);
            assert_eq!((full.as_bytes(), cut, count), (&body[..], None, 1));
            let (redacted, cut, _) = kept(Keeper::new(redaction(), 1024), pieces);
            assert_eq!(redacted, r#"{"card": "[redacted:card]", "a": "b"}"#);
            assert_eq!(cut, None);
        }
    }

    #[test]
    fn what_is_over_the_limit_is_cut_and_never_in_what_must_be_taken_out() {
        let text = format!("{}4111111111111111 and more", "a".repeat(1020));
        for size in [1, 7, 4096] {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let (full, cut, _) = kept(Keeper::new(None, 1030), &pieces);
            assert_eq!((full.len(), cut), (1030, Some(Cut::Limit)));
            let (redacted, cut, _) = kept(Keeper::new(redaction(), 1030), &pieces);
            assert_eq!(redacted, format!("{}[redacted:", "a".repeat(1020)));
            assert_eq!(cut, Some(Cut::Limit));
            // As long as it may be is not too long.
            let (whole, cut, _) = kept(Keeper::new(None, text.len() as u64), &pieces);
            assert_eq!((whole.as_str(), cut), (text.as_str(), None));
        }
    }

    #[test]
    fn a_long_body_is_handed_over_in_pieces() {
        let text = "関所".repeat(20_000);
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(10_000).collect();
        let (whole, cut, count) = kept(Keeper::new(None, 1 << 20), &pieces);
        assert_eq!((whole.as_str(), cut, count), (text.as_str(), None, 4));
    }

    #[test]
    fn what_was_stopped_stays_stopped_for_its_first_reason() {
        let mut keeper = Keeper::new(redaction(), 1024);
        keeper.stop(Cut::Form);
        keeper.push(b"text");
        keeper.stop(Cut::Memory);
        keeper.finish();
        assert_eq!(keeper.kept(), (0, Some(Cut::Form)));
        assert_eq!(keeper.take(1), None);
    }

    #[test]
    fn text_is_told_from_what_is_none() {
        for text in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "text/event-stream",
            "application/problem+json",
        ] {
            assert!(is_text(text.as_bytes()), "{text}");
        }
        for other in [
            "",
            "application/vnd.amazon.eventstream",
            "multipart/form-data; boundary=x",
            "audio/mpeg",
        ] {
            assert!(!is_text(other.as_bytes()), "{other}");
        }
    }
}
