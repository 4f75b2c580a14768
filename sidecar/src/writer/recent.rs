//! Which records are in the log, as far as memory can say.

use std::collections::HashSet;

use sekisho_domain::{RecordId, RecordKind, UnixMillis};

/// How far the clocks of gateways may be off, milliseconds.
const SLACK: u64 = 60_000;

/// Records that were appended lately. A record id tells when its call arrived (UUID
/// version 7), so whatever is younger than this memory and not in it is new.
#[derive(Debug)]
pub(super) struct Recent {
    /// Everything appended since then is here.
    since: UnixMillis,
    began: UnixMillis,
    current: HashSet<(RecordId, RecordKind)>,
    former: HashSet<(RecordId, RecordKind)>,
}

/// What memory says about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// It is in the log.
    Known,
    /// It is not.
    New,
    /// Only the database knows.
    Doubtful,
}

impl Recent {
    /// A memory that is yet to be told of the records since [`Self::first`].
    pub(super) fn new(now: UnixMillis) -> Self {
        Self {
            since: UnixMillis(now.0.saturating_sub(2 * SLACK)),
            began: now,
            current: HashSet::new(),
            former: HashSet::new(),
        }
    }

    /// Calls that arrived later than this one must be known.
    pub(super) fn first(&self) -> RecordId {
        RecordId::v7(UnixMillis(self.since.0.saturating_add(SLACK)), [0; 10])
    }

    /// Remembers what the log has of the calls since [`Self::first`].
    pub(super) fn with(mut self, records: Vec<(RecordId, RecordKind)>) -> Self {
        self.current.extend(records);
        self
    }

    pub(super) fn ask(&self, id: RecordId, kind: RecordKind, now: UnixMillis) -> Memory {
        let record = (id, kind);
        if self.current.contains(&record) || self.former.contains(&record) {
            return Memory::Known;
        }
        let arrived = arrival(id);
        if arrived > self.since.0.saturating_add(SLACK) && arrived <= now.0.saturating_add(SLACK) {
            Memory::New
        } else {
            Memory::Doubtful
        }
    }

    pub(super) fn insert(&mut self, id: RecordId, kind: RecordKind) {
        self.current.insert((id, kind));
    }

    /// Forgets what is too old to be asked for without doubt.
    pub(super) fn rotate(&mut self, now: UnixMillis) {
        if now.since(self.began) > 2 * SLACK {
            self.since = self.began;
            self.began = now;
            // Of a gateway whose clock is fast: what it sent long ago still looks new.
            let since = self.since.0.saturating_add(SLACK);
            let mut kept = std::mem::take(&mut self.former);
            kept.retain(|(id, _)| arrival(*id) > since);
            self.former = std::mem::take(&mut self.current);
            self.former.extend(kept);
        }
    }
}

/// The time in the first 48 bits (RFC 9562, section 5.7).
fn arrival(id: RecordId) -> u64 {
    let [a, b, c, d, e, f, ..] = id.0;
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(at: u64) -> RecordId {
        RecordId::v7(UnixMillis(at), [1; 10])
    }

    #[test]
    fn only_what_is_surely_younger_than_memory_is_new() {
        let start = 1_000_000;
        let mut recent = Recent::new(UnixMillis(start));
        let ask = |recent: &Recent, at: u64, now: u64| {
            recent.ask(id(at), RecordKind::Admit, UnixMillis(now))
        };
        assert_eq!(arrival(recent.first()), start - 60_000);
        assert_eq!(ask(&recent, start - 60_000, start), Memory::Doubtful);
        assert_eq!(ask(&recent, start - 59_999, start), Memory::New);
        assert_eq!(ask(&recent, start + 60_001, start), Memory::Doubtful);
        recent.insert(id(start + 1), RecordKind::Admit);
        assert_eq!(ask(&recent, start + 1, start + 2), Memory::Known);
        recent.rotate(UnixMillis(start + 120_001));
        assert_eq!(ask(&recent, start + 1, start + 120_001), Memory::Known);
        assert_eq!(ask(&recent, start + 90_000, start + 120_001), Memory::New);
        recent.rotate(UnixMillis(start + 240_002));
        assert_eq!(ask(&recent, start + 1, start + 240_002), Memory::Doubtful);
        assert_eq!(
            ask(&recent, start + 150_000, start + 240_002),
            Memory::Doubtful
        );
    }

    #[test]
    fn a_record_from_a_fast_clock_is_known_for_as_long_as_it_looks_new() {
        let start = 1_000_000;
        let mut recent = Recent::new(UnixMillis(start));
        let early = id(start + 300_000);
        recent.insert(early, RecordKind::Admit);
        for minutes in (0..20).step_by(2) {
            let now = UnixMillis(start + minutes * 60_000 + 1);
            recent.rotate(now);
            let memory = recent.ask(early, RecordKind::Admit, now);
            assert_ne!(memory, Memory::New, "after {minutes} minutes");
        }
    }

    #[test]
    fn what_the_log_had_before_the_start_is_known() {
        let start = 1_000_000;
        let recent = Recent::new(UnixMillis(start)).with(vec![(id(start), RecordKind::Admit)]);
        let ask = |kind| recent.ask(id(start), kind, UnixMillis(start));
        assert_eq!(ask(RecordKind::Admit), Memory::Known);
        assert_eq!(ask(RecordKind::Complete), Memory::New);
    }
}
