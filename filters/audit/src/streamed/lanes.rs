//! Texts that come piece by piece, over many events.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::{Event, Piece, Places};
use crate::redact::{OPEN, Redaction, Redactor, SECRET_NAME};

/// Most texts that are followed at a time.
const MOST_LANES: usize = 1024;
/// After so many characters and pieces of another text, one that waits is over. No secret is
/// longer than what is looked at from one place, and nothing else is said in the middle of one.
const OTHER_CHARACTERS: usize = 400;
const OTHER_PIECES: usize = 16;

/// A text.
#[derive(Debug)]
struct Lane {
    key: u64,
    redactor: Redactor,
    /// What of it is not decided.
    pieces: VecDeque<Piece>,
    /// When its last piece came: how many pieces of all texts had come by then.
    last: u64,
    /// How much of other texts has come since.
    others: (usize, usize),
}

/// All texts of a stream.
#[derive(Debug)]
pub(super) struct Lanes {
    redaction: Arc<Redaction>,
    lanes: Vec<Lane>,
    pieces: u64,
}

/// The events in which the pieces are, and the number of the first.
pub(super) type Held<'h> = (&'h mut VecDeque<Event>, u64);

impl Lane {
    fn with<T>(
        &mut self,
        (events, first): &mut Held<'_>,
        act: impl FnOnce(&mut Redactor, &mut Places<'_>) -> T,
    ) -> T {
        let mut places = Places {
            events,
            first: *first,
            pieces: &mut self.pieces,
        };
        act(&mut self.redactor, &mut places)
    }
}

impl Lanes {
    pub(super) const fn new(redaction: Arc<Redaction>) -> Self {
        Self {
            redaction,
            lanes: Vec::new(),
            pieces: 0,
        }
    }

    /// Takes the next piece of a text. `is_secret`: its name says that it is one. `breaks_line`:
    /// it begins another line.
    pub(super) fn push(
        &mut self,
        key: u64,
        (is_secret, breaks_line): (bool, bool),
        piece: Piece,
        bytes: &[u8],
        mut held: Held<'_>,
    ) {
        let at = self.find(key, is_secret, &mut held);
        self.pieces += 1;
        for lane in &mut self.lanes {
            if lane.key != key {
                lane.others.0 += bytes.len();
                lane.others.1 += 1;
            }
        }
        let last = self.pieces;
        let Some(lane) = self.lanes.get_mut(at) else {
            return;
        };
        (lane.last, lane.others) = (last, (0, 0));
        if breaks_line {
            lane.redactor.imagine(b"\n");
        }
        lane.pieces.push_back(piece);
        lane.with(&mut held, |redactor, places| redactor.take(bytes, places));
    }

    /// Where the text is.
    fn find(&mut self, key: u64, is_secret: bool, held: &mut Held<'_>) -> usize {
        let found = self.lanes.iter().position(|lane| lane.key == key);
        if let Some(found) = found {
            return found;
        }
        if self.lanes.len() >= MOST_LANES {
            let ages = self.lanes.iter().enumerate();
            let oldest = ages.min_by_key(|(_, lane)| lane.last);
            if let Some((oldest, _)) = oldest {
                let mut lane = self.lanes.swap_remove(oldest);
                lane.with(held, |redactor, places| redactor.let_go(None, places));
            }
        }
        let mut redactor = Redactor::new(Arc::clone(&self.redaction));
        if is_secret {
            redactor.imagine(SECRET_NAME);
        }
        self.lanes.push(Lane {
            key,
            redactor,
            pieces: VecDeque::new(),
            last: 0,
            others: (0, 0),
        });
        self.lanes.len() - 1
    }

    /// Waits no longer for texts that others have interrupted for long.
    pub(super) fn let_go(&mut self, mut held: Held<'_>) {
        for at in 0..self.lanes.len() {
            let Some(lane) = self.lanes.get(at) else {
                return;
            };
            let (characters, pieces) = lane.others;
            if lane.pieces.is_empty() || characters < OTHER_CHARACTERS || pieces < OTHER_PIECES {
                continue;
            }
            let since = self.lanes.iter().filter(|other| other.last > lane.last);
            let others = since.count();
            if characters < OTHER_CHARACTERS * others || pieces < OTHER_PIECES * others {
                continue;
            }
            if let Some(lane) = self.lanes.get_mut(at) {
                lane.with(&mut held, |redactor, places| redactor.let_go(None, places));
            }
        }
    }

    /// Waits no longer for texts of which a piece is in the first event: they are taken out, as
    /// far as they wait.
    pub(super) fn take_out(&mut self, mut held: Held<'_>) {
        let first = held.1;
        for lane in &mut self.lanes {
            if lane
                .pieces
                .front()
                .is_some_and(|piece| piece.event == first)
            {
                lane.with(&mut held, |redactor, places| {
                    redactor.let_go(Some(OPEN), places);
                });
            }
        }
    }

    /// The stream has ended.
    pub(super) fn end(&mut self, mut held: Held<'_>) {
        for lane in &mut self.lanes {
            lane.with(&mut held, |redactor, places| redactor.end(places));
        }
    }
}
