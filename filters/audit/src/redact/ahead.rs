//! What follows one place of a text that has not come whole.

use std::cell::Cell;

/// Characters from one place on. Remembers whether more was asked for than there is: only then can
/// what follows change the answer.
pub(super) struct Ahead<'a> {
    seen: &'a [u8],
    is_short: Cell<bool>,
}

impl<'a> Ahead<'a> {
    pub(super) const fn new(seen: &'a [u8]) -> Self {
        Self {
            seen,
            is_short: Cell::new(false),
        }
    }

    /// Whether something was asked for that has not come.
    pub(super) const fn is_short(&self) -> bool {
        self.is_short.get()
    }

    /// Says that something was missing.
    pub(super) fn lacks(&self) {
        self.is_short.set(true);
    }

    /// All that has come, for those who say themselves whether it was enough.
    pub(super) const fn all(&self) -> &'a [u8] {
        self.seen
    }

    /// One character.
    pub(super) fn at(&self, at: usize) -> Option<u8> {
        let found = self.seen.get(at).copied();
        if found.is_none() {
            self.lacks();
        }
        found
    }

    /// Whether this text stands there.
    pub(super) fn has(&self, from: usize, text: &[u8]) -> bool {
        let mut places = text.iter().zip(from..);
        places.all(|(letter, at)| self.at(at) == Some(*letter))
    }

    /// How many characters from there on are such, of so many at most.
    pub(super) fn run(&self, from: usize, most: usize, is: impl Fn(u8) -> bool) -> usize {
        let upto = from.saturating_add(most);
        let rest = self.seen.get(from..upto.min(self.seen.len()));
        let rest = rest.unwrap_or_default();
        let count = rest.iter().take_while(|c| is(**c)).count();
        if count == rest.len() && count < most {
            self.lacks();
        }
        count
    }

    /// So many characters from there on, of those that have come.
    pub(super) fn part(&self, from: usize, length: usize) -> &'a [u8] {
        let part = self.seen.get(from..from.saturating_add(length));
        part.unwrap_or_default()
    }
}
