//! Records of people and departments are sorted after they are durable.

use std::collections::VecDeque;

use super::{Core, Poison};
use crate::log::sorted::{self, Unsorted};
use crate::store::script::Script;

/// Records that are sorted at a time, so that nobody waits long for it.
const PART: usize = 256;

/// Records that may be unsorted while there is always something else to do.
const MUCH: usize = 4096;

/// Where more come than that would keep up with, so many parts are made of them.
const PARTS: usize = 8;

/// What is not sorted yet.
pub(super) struct Sorting {
    /// All records before this place are sorted,
    sorted: u64,
    /// and these are those from there on.
    waiting: VecDeque<Unsorted>,
}

impl Sorting {
    /// `left`: the records from this place on.
    pub(super) fn new(sorted: u64, left: Vec<Unsorted>) -> Self {
        let waiting = left.into();
        Self { sorted, waiting }
    }

    /// Takes in what has become durable.
    pub(super) fn extend(&mut self, durable: Vec<Unsorted>) {
        self.waiting.extend(durable);
    }
}

impl Core {
    /// Whether it is worth a transaction to sort before the second is over.
    pub(in crate::writer) fn has_part_to_sort(&self) -> bool {
        self.sorting.waiting.len() >= PART / 2
    }

    /// Whether so many are not sorted that it must not wait until there is nothing else to do.
    pub(in crate::writer) fn has_much_to_sort(&self) -> bool {
        self.sorting.waiting.len() >= MUCH
    }

    /// Sorts a part of those that are not. Says whether there is more to do.
    pub(in crate::writer) async fn sort(&mut self) -> Result<bool, Poison> {
        let Sorting { sorted, waiting } = &self.sorting;
        // What room there is on a full disk is for the ends of calls.
        if waiting.is_empty() || !self.takes_calls() {
            return Ok(false);
        }
        let part = PART.max(waiting.len() / PARTS).min(waiting.len());
        let to = sorted.saturating_add(u64::try_from(part).unwrap_or(u64::MAX));
        let mut script = Script::default();
        sorted::sort(
            &mut script,
            waiting.iter().take(part),
            (*sorted, to),
            self.epoch,
        );
        match self.journal.commit(&mut self.connection, &script).await {
            Err(error) if error.is_full() && self.make_room() => return Ok(false),
            committed => committed?,
        }
        self.sorting.sorted = to;
        self.sorting.waiting.drain(..part);
        Ok(!self.sorting.waiting.is_empty())
    }
}
