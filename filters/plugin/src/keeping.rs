//! What is kept of a call's bodies, on its way to the sidecar.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use sekisho_audit::{Framing, Keeper, Kept, MOST_PIECE, Redaction, is_text};
use sekisho_domain::policy::Contents;
use sekisho_domain::{Cut, RecordId};
use sekisho_link::{Half, Outbox};

/// Most bytes of bodies that a VM holds because they are not durable yet.
const MOST_HELD: usize = 16 * 1024 * 1024;

/// Bytes that calls of a VM hold and have not handed over yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room(Rc<Cell<usize>>);

impl Room {
    /// Whether a call that must not go without its bodies may begin: those under way have as much
    /// again.
    pub(crate) fn takes_another(&self, outbox: &Outbox) -> bool {
        self.held(outbox) < MOST_HELD / 2
    }

    fn held(&self, outbox: &Outbox) -> usize {
        self.0.get().saturating_add(outbox.held_contents())
    }
}

/// What is known of a body, whatever its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadAs {
    /// It was read as JSON.
    Json,
    /// A stream was asked for.
    Stream,
    /// Nothing.
    Unknown,
}

/// What is kept of one call.
#[derive(Debug)]
pub(crate) struct Keeping {
    contents: Contents,
    request: Keeper,
    response: Keeper,
    room: Room,
    /// What of this call `room` counts.
    counted: usize,
}

impl Keeping {
    pub(crate) fn new(
        contents: Contents,
        redaction: Option<&Arc<Redaction>>,
        most: u64,
        room: Room,
    ) -> Self {
        let redaction = redaction.filter(|_| contents == Contents::Redacted);
        let keeper = || Keeper::new(redaction.cloned(), most);
        Self {
            contents,
            request: keeper(),
            response: keeper(),
            room,
            counted: 0,
        }
    }

    /// A body of this kind begins. `read_as`: what is known of it, whatever its type says.
    pub(crate) fn begin(
        &mut self,
        half: Half,
        read_as: ReadAs,
        content_type: Option<&[u8]>,
        content_encoding: Option<&[u8]>,
    ) {
        if self.contents != Contents::Redacted {
            return;
        }
        let coding = content_encoding.unwrap_or_default().trim_ascii();
        if !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity") {
            self.keeper(half).stop(Cut::Coding);
            return;
        }
        let kind = content_type.unwrap_or_default();
        let framing = Framing::of_type(kind).or_else(|| {
            let is_stream = read_as == ReadAs::Stream && is_text(kind);
            is_stream.then(|| Framing::of_text(kind))
        });
        match framing.filter(|_| half == Half::Response) {
            Some(framing) => self.keeper(half).expect_events(framing),
            None if read_as == ReadAs::Json || is_text(kind) => {}
            None => self.keeper(half).stop(Cut::Form),
        }
    }

    /// Takes the next bytes in, if there is room.
    pub(crate) fn push(&mut self, half: Half, piece: &[u8], outbox: &Outbox) {
        let is_full = self.room.held(outbox) >= MOST_HELD;
        let keeper = self.keeper(half);
        if is_full && !piece.is_empty() {
            keeper.stop(Cut::Memory);
        } else {
            keeper.push(piece);
        }
        self.count();
    }

    /// A body has ended.
    pub(crate) fn finish(&mut self, half: Half) {
        self.keeper(half).finish();
        self.count();
    }

    /// Hands over what is worth a piece; with `all`, whatever there is.
    pub(crate) fn hand_over(
        &mut self,
        half: Half,
        all: bool,
        record_id: &RecordId,
        outbox: &mut Outbox,
    ) {
        let least = if all { 1 } else { MOST_PIECE };
        while let Some((number, piece)) = self.keeper(half).take(least) {
            outbox.contents(record_id, half, number, &piece);
        }
        self.count();
    }

    /// Whether something is missing for want of room.
    pub(crate) fn lacks(&self) -> bool {
        let cuts = [self.request.kept().1, self.response.kept().1];
        cuts.contains(&Some(Cut::Memory))
    }

    /// What the record says.
    pub(crate) const fn kept(&self) -> Kept {
        Kept {
            contents: self.contents,
            request: self.request.kept(),
            response: self.response.kept(),
        }
    }

    const fn keeper(&mut self, half: Half) -> &mut Keeper {
        match half {
            Half::Response => &mut self.response,
            Half::Request | Half::Unspecified => &mut self.request,
        }
    }

    fn count(&mut self) {
        let now = self.request.waiting() + self.response.waiting();
        self.recount(now);
    }

    fn recount(&mut self, now: usize) {
        let others = self.room.0.get().saturating_sub(self.counted);
        self.room.0.set(others.saturating_add(now));
        self.counted = now;
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.recount(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn keeping(room: &Room) -> Keeping {
        Keeping::new(Contents::Full, None, MIB as u64, room.clone())
    }

    #[test]
    fn what_a_vm_holds_is_bounded_and_given_back() {
        let (room, mut outbox) = (Room::default(), Outbox::default());
        let piece = vec![b'x'; MIB];
        let mut all: Vec<Keeping> = Vec::new();
        while room.takes_another(&outbox) {
            let mut one = keeping(&room);
            one.push(Half::Request, &piece, &outbox);
            all.push(one);
        }
        assert_eq!(all.len() * MIB, MOST_HELD / 2);
        // Handed over it is no less.
        for one in &mut all {
            one.hand_over(Half::Request, true, &RecordId([1; 16]), &mut outbox);
        }
        assert!(!room.takes_another(&outbox));
        assert!(outbox.held_contents() >= MOST_HELD / 2);
        // Those under way go on until there is no room at all.
        let mut others: Vec<Keeping> = (0..9).map(|_| keeping(&room)).collect();
        for one in &mut others {
            one.push(Half::Response, &piece, &outbox);
        }
        let lacking = others.iter().filter(|one| one.lacks()).count();
        assert_eq!(lacking, 1);
        drop(others);
        assert_eq!(room.0.get(), 0);
    }

    #[test]
    fn what_cannot_be_redacted_is_not_kept_and_the_record_says_why() {
        let redaction = Arc::new(Redaction::new(Vec::new()));
        let of = |contents, kind: &str, coding: Option<&str>| {
            let mut keeping = Keeping::new(contents, Some(&redaction), 1024, Room::default());
            let coding = coding.map(str::as_bytes);
            keeping.begin(
                Half::Response,
                ReadAs::Unknown,
                Some(kind.as_bytes()),
                coding,
            );
            keeping.push(Half::Response, b"body", &Outbox::default());
            keeping.finish(Half::Response);
            keeping.kept().response
        };
        let redacted = Contents::Redacted;
        assert_eq!(of(redacted, "application/json", None), (4, None));
        assert_eq!(of(redacted, "audio/mpeg", None), (0, Some(Cut::Form)));
        assert_eq!(
            of(redacted, "text/plain", Some("gzip")),
            (0, Some(Cut::Coding))
        );
        assert_eq!(of(Contents::Full, "audio/mpeg", Some("gzip")), (4, None));
    }
}
