//! Records as they go over the wire, and how much of them goes at once.

use std::collections::HashSet;

use sekisho_domain::{RecordId, RecordKind};

/// Most refusals of one batch: nobody waits for them, and what gathered while the stream was
/// down must not keep a sidecar that has just begun from those who wait.
pub(super) const MOST_REFUSALS_AT_ONCE: usize = 256;

/// Bodies that one batch brings, bytes, rather than all of them: an acknowledgement that takes
/// long keeps everybody waiting.
pub(super) const MOST_CONTENTS_AT_ONCE: usize = 1024 * 1024;

/// Records as they go over the wire.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    pub(super) encoded: Vec<u8>,
    /// What they are, in order.
    pub(super) named: Vec<Named>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) record_id: RecordId,
    /// None: not a record, but what was set aside for a call besides.
    pub(super) kind: Option<RecordKind>,
    /// Bytes that it takes in `encoded`.
    pub(super) length: usize,
}

impl Records {
    pub(super) fn refusals(&self) -> usize {
        let refusals = self.named.iter().filter(|named| named.is_refusal());
        refusals.count()
    }

    pub(super) fn contents(&self) -> usize {
        let contents = self.named.iter().filter(|named| named.is_contents());
        contents.map(|named| named.length).sum()
    }

    /// Moves refusals and bodies that are too much for one batch into `later`. They stay in their
    /// order, and after the admits of their calls; the end of a call stays after its bodies.
    pub(super) fn keep_rest(&mut self, later: &mut Self) {
        let whole = std::mem::take(self);
        let (mut rest, mut refusals, mut contents) = (whole.encoded.as_slice(), 0, 0);
        let mut not_whole = HashSet::new();
        for named in whole.named {
            let Some((encoded, after)) = rest.split_at_checked(named.length) else {
                break;
            };
            rest = after;
            refusals += usize::from(named.is_refusal());
            let stays = if named.is_contents() {
                contents += named.length;
                // Every batch brings at least one piece.
                let fits = contents <= MOST_CONTENTS_AT_ONCE.max(named.length);
                fits || {
                    not_whole.insert(named.record_id);
                    false
                }
            } else if named.is_refusal() {
                refusals <= MOST_REFUSALS_AT_ONCE
            } else {
                named.kind != Some(RecordKind::Complete) || !not_whole.contains(&named.record_id)
            };
            let to = if stays { &mut *self } else { &mut *later };
            to.encoded.extend_from_slice(encoded);
            to.named.push(named);
        }
    }

    pub(super) fn append(&mut self, later: &Self) {
        self.encoded.extend_from_slice(&later.encoded);
        self.named.extend_from_slice(&later.named);
    }
}

impl Named {
    fn is_refusal(&self) -> bool {
        self.kind == Some(RecordKind::Refuse)
    }

    fn is_contents(&self) -> bool {
        self.kind == Some(RecordKind::Contents)
    }
}
