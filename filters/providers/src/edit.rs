//! Changes of a body: spans of it and what stands there instead.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// First byte that goes.
    pub start: u64,
    /// The byte after the last that goes; `start`: none goes.
    pub end: u64,
    /// What comes there.
    pub text: Vec<u8>,
}

impl Edit {
    /// Puts `text` in the place of `span`.
    #[must_use]
    pub fn new(span: Range<u64>, text: impl Into<Vec<u8>>) -> Self {
        Self {
            start: span.start,
            end: span.end,
            text: text.into(),
        }
    }
}

/// Changes of one body, none within another.
#[derive(Clone, Debug, Default)]
pub struct Edits(Vec<Edit>);

impl Edits {
    /// Adds a change; where several put something at one place, the first comes first.
    pub fn push(&mut self, edit: Edit) {
        let after = self.0.partition_point(|other| other.start <= edit.start);
        self.0.insert(after, edit);
    }

    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a place of the old body, before which or at which no change ends, is in the new.
    #[must_use]
    pub fn moved(&self, place: u64) -> u64 {
        let before = self.0.iter().take_while(|edit| edit.end <= place);
        before.fold(place, |place, edit| {
            (place + edit.text.len() as u64).saturating_sub(edit.end - edit.start)
        })
    }

    /// Appends the new form of `piece`, which stands at `offset` of the old body.
    pub fn copy(&self, offset: u64, piece: &[u8], to: &mut Vec<u8>) {
        let end = offset + piece.len() as u64;
        let within = |place: u64| usize::try_from(place.clamp(offset, end) - offset).unwrap_or(0);
        let mut kept = 0;
        for edit in &self.0 {
            if edit.end < offset || edit.start >= end {
                continue;
            }
            let before = piece.get(kept..within(edit.start)).unwrap_or_default();
            to.extend_from_slice(before);
            if edit.start >= offset {
                to.extend_from_slice(&edit.text);
            }
            kept = kept.max(within(edit.end));
        }
        to.extend_from_slice(piece.get(kept..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edits(changes: &[(u64, u64, &str)]) -> Edits {
        let mut edits = Edits::default();
        for (start, end, text) in changes {
            edits.push(Edit::new(*start..*end, *text));
        }
        edits
    }

    fn edited(edits: &Edits, body: &[u8], size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut offset = 0;
        for piece in body.chunks(size.max(1)) {
            edits.copy(offset, piece, &mut out);
            offset += piece.len() as u64;
        }
        out
    }

    #[test]
    fn what_is_not_named_stays() {
        let body = br#"{"model": "gpt-4o", "max_tokens": 99999}"#;
        let changes = edits(&[(34, 39, "100"), (10, 18, r#""best""#), (1, 1, r#""a":1,"#)]);
        let expected = r#"{"a":1,"model": "best", "max_tokens": 100}"#;
        for size in 1..body.len() + 1 {
            let out = edited(&changes, body, size);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{size}");
        }
        assert_eq!(changes.moved(10), 16);
        assert_eq!(changes.moved(18), 22);
    }

    proptest! {
        #[test]
        fn no_cut_changes_the_outcome(
            body in prop::collection::vec(any::<u8>(), 1..60),
            spans in prop::collection::btree_map(0u64..60, (0u64..8, prop::collection::vec(any::<u8>(), 0..5)), 0..5),
            size in 1usize..20,
        ) {
            let mut edits = Edits::default();
            let mut expected = Vec::new();
            let mut at = 0;
            for (start, (length, text)) in spans {
                let (start, end) = (start, start + length);
                if start < at || end > body.len() as u64 || start >= body.len() as u64 {
                    continue;
                }
                expected.extend_from_slice(&body[at as usize..start as usize]);
                expected.extend_from_slice(&text);
                at = end;
                edits.push(Edit { start, end, text });
                // The next may not begin where this one ended.
                if length == 0 {
                    expected.extend_from_slice(&body[at as usize..=at as usize]);
                    at += 1;
                }
            }
            expected.extend_from_slice(&body[at as usize..]);
            prop_assert_eq!(edited(&edits, &body, size), expected);
        }
    }
}
