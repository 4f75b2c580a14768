//! What a worker has to tell its sidecar, and what of it is not yet durable.
//!
//! Natural batching: one batch is under way, everything else gathers into the next. So
//! a lone request goes at once, and under load batches grow by themselves.

use std::collections::HashSet;

use prost::Message as _;
use prost::bytes::Bytes;
use sekisho_domain::{RecordId, RecordKind, UnixMillis};

use crate::entry::{self, Reserved};
use crate::v1;
use crate::v1::contents::Half;

/// Largest memory of a batch that is kept for a later one, bytes.
const MOST_SPARE: usize = 256 * 1024;

/// Most refusals kept while the stream is down; calls themselves are never dropped.
const MOST_REFUSALS: usize = 4096;

/// Most refusals of one batch: nobody waits for them, and what gathered while the stream was
/// down must not keep a sidecar that has just begun from those who wait.
const MOST_REFUSALS_AT_ONCE: usize = 256;

/// Bodies that one batch brings, bytes, rather than all of them: an acknowledgement that takes
/// long keeps everybody waiting.
const MOST_CONTENTS_AT_ONCE: usize = 1024 * 1024;

/// A record that has become durable, or an admit that the sidecar refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The call.
    pub record_id: RecordId,
    /// Which of its records.
    pub kind: RecordKind,
    /// An admit that no lease covers.
    pub refused: bool,
}

/// Queue of batches towards the sidecar.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    vm: Vec<u8>,
    stages: Vec<String>,
    holder: Vec<u8>,
    gone: Vec<Bytes>,
    connected: bool,
    hello_sent: bool,
    next_seq: u64,
    /// All but the records.
    gathering: v1::Up,
    records: Records,
    refusals: usize,
    /// Bytes of bodies that are not durable, those of the batch under way among them.
    contents: usize,
    in_flight: Option<InFlight>,
    /// Of a batch that was acknowledged, for one to come.
    spare: Vec<u8>,
    durable_at: UnixMillis,
}

/// Records as they go over the wire.
#[derive(Clone, Debug, Default)]
struct Records {
    encoded: Vec<u8>,
    /// What they are, in order.
    named: Vec<Named>,
}

#[derive(Clone, Copy, Debug)]
struct Named {
    record_id: RecordId,
    /// None: not a record, but what was set aside for a call besides.
    kind: Option<RecordKind>,
    /// Bytes that it takes in `encoded`.
    length: usize,
}

#[derive(Clone, Debug)]
struct InFlight {
    /// `records` also has the rest of the batch behind them.
    records: Records,
    /// Where that begins.
    rest: usize,
    seq: u64,
    has_hello: bool,
    refusals_dropped: u64,
    sent: UnixMillis,
}

impl Outbox {
    /// An outbox for a VM with this id (16 random bytes) that takes these decisions.
    #[must_use]
    pub fn new(vm: [u8; 16], stages: &[&str]) -> Self {
        Self {
            vm: vm.to_vec(),
            stages: stages.iter().map(|stage| (*stage).to_owned()).collect(),
            ..Self::default()
        }
    }

    /// A stream was opened. `holder`: 16 fresh random bytes that name its leases.
    pub fn connected(&mut self, holder: [u8; 16]) {
        self.holder = holder.to_vec();
        self.connected = true;
        self.hello_sent = false;
        self.next_seq = 0;
        // An open stream proves nothing: only an acknowledgement does.
        self.durable_at = UnixMillis::default();
    }

    /// The stream is gone: what was under way will be sent again, before anything else.
    /// Free leases of the former holder must be dropped by the caller.
    pub fn disconnected(&mut self) {
        if !self.connected {
            return;
        }
        self.connected = false;
        self.gone.push(Bytes::copy_from_slice(&self.holder));
        // Answers to lease requests of this stream will never come.
        self.gathering.lease_requests.clear();
        self.gathering.lease_returns.clear();
        self.gathering.key_set_requests.clear();
        if let Some(mut lost) = self.in_flight.take() {
            lost.records.encoded.truncate(lost.rest);
            self.refusals += lost.records.refusals();
            lost.records.append(&self.records);
            self.records = lost.records;
            self.gathering.refusals_dropped += lost.refusals_dropped;
        }
    }

    /// Whether a stream is open.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connected
    }

    /// The name of this stream's leases.
    #[must_use]
    pub fn holder(&self) -> &[u8] {
        &self.holder
    }

    /// The moment at which the last acknowledged batch was sent: leases live for their
    /// time-to-live from here on, however slow the acknowledgement was.
    #[must_use]
    pub const fn durable_at(&self) -> UnixMillis {
        self.durable_at
    }

    /// Adds a record, and what it says of leases.
    pub fn record<'a>(
        &mut self,
        kind: RecordKind,
        record_id: &RecordId,
        record: &[u8],
        reservations: impl Iterator<Item = Reserved<'a>> + Clone,
    ) {
        if kind == RecordKind::Refuse {
            if !self.connected && self.refusals >= MOST_REFUSALS {
                self.gathering.refusals_dropped += 1;
                return;
            }
            self.refusals += 1;
        }
        let on_wire = match kind {
            RecordKind::Admit => v1::entry::Kind::Admit,
            RecordKind::Complete => v1::entry::Kind::Complete,
            RecordKind::Refuse => v1::entry::Kind::Refuse,
            // Not a gateway's to tell: the sidecar refuses it.
            RecordKind::Event | RecordKind::Contents => v1::entry::Kind::Unspecified,
        };
        self.entry(Some(kind), on_wire, record_id, record, reservations);
    }

    /// Adds that more is set aside for a call whose admit went before: how much it is by now.
    /// Like a record it is said again until it is durable, and before anything is said of the
    /// holder's end.
    pub fn extend<'a>(
        &mut self,
        record_id: &RecordId,
        reservations: impl Iterator<Item = Reserved<'a>> + Clone,
    ) {
        let on_wire = v1::entry::Kind::Extend;
        self.entry(None, on_wire, record_id, &[], reservations);
    }

    fn entry<'a>(
        &mut self,
        kind: Option<RecordKind>,
        on_wire: v1::entry::Kind,
        record_id: &RecordId,
        record: &[u8],
        reservations: impl Iterator<Item = Reserved<'a>> + Clone,
    ) {
        let out = &mut self.records.encoded;
        let start = out.len();
        entry::write(out, on_wire, record_id, record, reservations);
        let length = out.len() - start;
        self.records.named.push(Named {
            record_id: *record_id,
            kind,
            length,
        });
    }

    /// Adds a piece of what is kept of a body.
    pub fn contents(&mut self, record_id: &RecordId, half: Half, number: u32, piece: &[u8]) {
        let out = &mut self.records.encoded;
        let start = out.len();
        entry::write_contents(out, record_id, half, number, piece);
        let length = out.len() - start;
        self.contents += length;
        self.records.named.push(Named {
            record_id: *record_id,
            kind: Some(RecordKind::Contents),
            length,
        });
    }

    /// Bytes of bodies that are here because they are not durable yet.
    #[must_use]
    pub const fn held_contents(&self) -> usize {
        self.contents
    }

    /// How many records wait for the next batch.
    #[must_use]
    pub const fn gathered(&self) -> usize {
        self.records.named.len()
    }

    /// Adds a request for leases.
    pub fn request_leases(&mut self, request: v1::LeaseRequest) {
        self.gathering.lease_requests.push(request);
    }

    /// Gives leases back.
    pub fn return_lease(&mut self, lease: v1::LeaseReturn) {
        self.gathering.lease_returns.push(lease);
    }

    /// Asks whether an issuer publishes a key by now.
    pub fn request_key_set(&mut self, request: v1::KeySetRequest) {
        self.gathering.key_set_requests.push(request);
    }

    /// Whether the next batch asks for a key.
    #[must_use]
    pub const fn has_questions(&self) -> bool {
        !self.gathering.key_set_requests.is_empty()
    }

    /// The next batch to send, encoded; `None` while one is under way, nothing is to be
    /// said, or no stream is open. `heartbeat`: an empty batch will do.
    pub fn next_batch(&mut self, now: UnixMillis, heartbeat: bool, snapshot: u64) -> Option<&[u8]> {
        if !self.connected || self.in_flight.is_some() {
            return None;
        }
        let idle = self.records.named.is_empty()
            && self.gathering.lease_requests.is_empty()
            && self.gathering.lease_returns.is_empty()
            && self.gathering.key_set_requests.is_empty();
        if idle && self.hello_sent && !heartbeat {
            return None;
        }
        let mut up = std::mem::take(&mut self.gathering);
        self.next_seq += 1;
        up.seq = self.next_seq;
        if !self.hello_sent {
            self.hello_sent = true;
            up.hello = Some(v1::Hello {
                vm: Bytes::copy_from_slice(&self.vm),
                holder: Bytes::copy_from_slice(&self.holder),
                gone: self.gone.clone(),
                stages: self.stages.clone(),
                snapshot_version: snapshot,
                release: env!("CARGO_PKG_VERSION").to_owned(),
            });
        }
        let gathering = Records {
            encoded: std::mem::take(&mut self.spare),
            named: Vec::new(),
        };
        let mut records = std::mem::replace(&mut self.records, gathering);
        // The rest is kept for later batches.
        let is_much =
            self.refusals > MOST_REFUSALS_AT_ONCE || self.contents > MOST_CONTENTS_AT_ONCE;
        self.refusals = if is_much {
            records.keep_rest(&mut self.records);
            self.records.refusals()
        } else {
            0
        };
        let rest = records.encoded.len();
        // The fields of a message may come in any order, its records first.
        records.encoded.extend_from_slice(&up.encode_to_vec());
        let batch = self.in_flight.insert(InFlight {
            records,
            rest,
            seq: up.seq,
            has_hello: up.hello.is_some(),
            refusals_dropped: up.refusals_dropped,
            sent: now,
        });
        Some(&batch.records.encoded)
    }

    /// When the batch under way was sent.
    #[must_use]
    pub fn waiting_since(&self) -> Option<UnixMillis> {
        self.in_flight.as_ref().map(|batch| batch.sent)
    }

    /// Takes an acknowledgement in; returns what it made durable, in order.
    pub fn acknowledged(&mut self, down: &v1::Down) -> Vec<Acknowledged> {
        let durable = self.in_flight.take_if(|batch| batch.seq <= down.ack);
        let Some(InFlight {
            records,
            has_hello,
            sent,
            ..
        }) = durable
        else {
            return Vec::new();
        };
        self.durable_at = sent;
        if self.contents > 0 {
            self.contents = self.contents.saturating_sub(records.contents());
        }
        if has_hello {
            self.gone.clear();
        }
        let refused = |id: &RecordId| down.refused.iter().any(|refused| **refused == id.0);
        let named = records.named.into_iter();
        let durable = named.filter_map(|named| {
            let kind = named.kind?;
            Some(Acknowledged {
                record_id: named.record_id,
                kind,
                refused: kind == RecordKind::Admit && refused(&named.record_id),
            })
        });
        let durable = durable.collect();
        self.spare = records.encoded;
        self.spare.clear();
        if self.spare.capacity() > MOST_SPARE {
            self.spare = Vec::new();
        }
        durable
    }
}

impl Records {
    fn refusals(&self) -> usize {
        let refusals = self.named.iter().filter(|named| named.is_refusal());
        refusals.count()
    }

    fn contents(&self) -> usize {
        let contents = self.named.iter().filter(|named| named.is_contents());
        contents.map(|named| named.length).sum()
    }

    /// Moves refusals and bodies that are too much for one batch into `later`. They stay in their
    /// order, and after the admits of their calls; the end of a call stays after its bodies.
    fn keep_rest(&mut self, later: &mut Self) {
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

    fn append(&mut self, later: &Self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn record(outbox: &mut Outbox, id: u8, kind: RecordKind) {
        outbox.record(kind, &RecordId([id; 16]), b"{}", std::iter::empty());
    }

    fn decode(bytes: Option<&[u8]>) -> v1::Up {
        v1::Up::decode(bytes.unwrap()).unwrap()
    }

    fn ack(seq: u64) -> v1::Down {
        v1::Down {
            ack: seq,
            ..v1::Down::default()
        }
    }

    fn open() -> Outbox {
        let mut outbox = Outbox::new([1; 16], &["audit"]);
        outbox.connected([2; 16]);
        outbox
    }

    #[test]
    fn one_batch_is_under_way_and_the_rest_gathers() {
        let mut outbox = open();
        record(&mut outbox, 1, RecordKind::Admit);
        let first = decode(outbox.next_batch(UnixMillis(10), false, 0));
        assert_eq!((first.seq, first.entries.len()), (1, 1));
        record(&mut outbox, 2, RecordKind::Admit);
        record(&mut outbox, 3, RecordKind::Complete);
        assert!(outbox.next_batch(UnixMillis(11), true, 0).is_none());
        assert_eq!(outbox.acknowledged(&ack(1)).len(), 1);
        assert_eq!(outbox.durable_at(), UnixMillis(10));
        let second = decode(outbox.next_batch(UnixMillis(12), false, 0));
        assert_eq!(
            (second.seq, second.entries.len(), second.hello),
            (2, 2, None)
        );
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again_first_under_a_new_holder() {
        let mut outbox = open();
        record(&mut outbox, 1, RecordKind::Admit);
        outbox.next_batch(UnixMillis(1), false, 0);
        record(&mut outbox, 2, RecordKind::Admit);
        outbox.disconnected();
        assert!(outbox.next_batch(UnixMillis(2), true, 0).is_none());
        outbox.connected([3; 16]);
        let again = decode(outbox.next_batch(UnixMillis(3), false, 7));
        let ids: Vec<u8> = again.entries.iter().map(|e| e.record_id[0]).collect();
        assert_eq!(ids, [1, 2]);
        let hello = again.hello.unwrap();
        assert_eq!(
            (hello.holder[0], hello.gone[0][0], hello.snapshot_version),
            (3, 2, 7)
        );
    }

    #[test]
    fn a_new_stream_counts_as_heard_only_after_its_first_acknowledgement() {
        let mut outbox = open();
        outbox.next_batch(UnixMillis(10), true, 0);
        outbox.acknowledged(&ack(1));
        outbox.disconnected();
        outbox.connected([3; 16]);
        assert_eq!(outbox.durable_at(), UnixMillis(0));
    }

    #[test]
    fn a_refused_admit_is_told_apart() {
        let mut outbox = open();
        record(&mut outbox, 1, RecordKind::Admit);
        record(&mut outbox, 2, RecordKind::Admit);
        outbox.next_batch(UnixMillis(1), false, 0);
        let down = v1::Down {
            refused: vec![Bytes::copy_from_slice(&[2; 16])],
            ..ack(1)
        };
        let refused: Vec<bool> = outbox
            .acknowledged(&down)
            .iter()
            .map(|a| a.refused)
            .collect();
        assert_eq!(refused, [false, true]);
    }

    #[test]
    fn an_acknowledgement_of_an_earlier_batch_frees_nothing() {
        let mut outbox = open();
        record(&mut outbox, 1, RecordKind::Admit);
        outbox.next_batch(UnixMillis(1), false, 0);
        assert!(outbox.acknowledged(&ack(0)).is_empty());
        assert!(outbox.waiting_since().is_some());
    }

    #[test]
    fn a_question_for_a_key_is_a_batch_and_dies_with_its_stream() {
        let mut outbox = open();
        outbox.next_batch(UnixMillis(1), true, 0);
        outbox.acknowledged(&ack(1));
        let question = v1::KeySetRequest {
            issuer: "i".into(),
            kid: "k".into(),
        };
        outbox.request_key_set(question.clone());
        let up = decode(outbox.next_batch(UnixMillis(2), false, 0));
        assert_eq!(up.key_set_requests, std::slice::from_ref(&question));
        outbox.acknowledged(&ack(2));
        outbox.request_key_set(question);
        outbox.disconnected();
        outbox.connected([3; 16]);
        let up = decode(outbox.next_batch(UnixMillis(3), true, 0));
        assert!(up.key_set_requests.is_empty());
    }

    #[test]
    fn refusals_are_bounded_while_nobody_listens_and_calls_are_not() {
        let mut outbox = Outbox::new([1; 16], &[]);
        for _ in 0..MOST_REFUSALS + 5 {
            record(&mut outbox, 1, RecordKind::Refuse);
            record(&mut outbox, 1, RecordKind::Complete);
        }
        outbox.connected([2; 16]);
        let up = decode(outbox.next_batch(UnixMillis(1), false, 0));
        assert_eq!(up.refusals_dropped, 5);
        // Calls go at once, refusals bit by bit.
        assert_eq!(up.entries.len(), MOST_REFUSALS + 5 + MOST_REFUSALS_AT_ONCE);
    }

    #[test]
    fn bodies_go_bit_by_bit_and_the_end_of_a_call_after_all_of_its_own() {
        let mut outbox = open();
        let piece = vec![b'p'; MOST_CONTENTS_AT_ONCE / 4];
        for (id, pieces) in [(1, 3), (2, 3)] {
            record(&mut outbox, id, RecordKind::Admit);
            for number in 0..pieces {
                outbox.contents(&RecordId([id; 16]), Half::Response, number, &piece);
            }
            record(&mut outbox, id, RecordKind::Complete);
        }
        record(&mut outbox, 3, RecordKind::Admit);
        let held = outbox.held_contents();
        assert!(held > 6 * piece.len());
        // The first batch is lost with its stream.
        let lost = outbox.next_batch(UnixMillis(1), false, 0).unwrap().len();
        assert!(lost < MOST_CONTENTS_AT_ONCE + 1024);
        outbox.disconnected();
        assert_eq!(outbox.held_contents(), held);
        outbox.connected([3; 16]);
        let mut told: Vec<(u8, u32)> = Vec::new();
        let mut ends = Vec::new();
        for seq in 1..=3 {
            let Some(up) = outbox.next_batch(UnixMillis(1), false, 0) else {
                break;
            };
            assert!(up.len() < MOST_CONTENTS_AT_ONCE + 1024);
            let up = v1::Up::decode(up).unwrap();
            told.extend(up.contents.iter().map(|c| (c.record_id[0], c.number)));
            for entry in up.entries {
                let (id, kind) = (entry.record_id[0], entry.kind());
                if kind == v1::entry::Kind::Complete {
                    let whole = told.iter().filter(|(of, _)| *of == id).count();
                    assert_eq!(whole, 3, "the end of {id} came before its bodies");
                    ends.push(id);
                } else {
                    assert_eq!(seq, 1, "an admit had to wait");
                }
            }
            outbox.acknowledged(&ack(seq));
        }
        assert_eq!(told, [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]);
        assert_eq!((ends, outbox.held_contents()), (vec![1, 2], 0));
    }

    #[test]
    fn many_refusals_go_in_several_batches_in_their_order_and_none_is_lost() {
        let mut outbox = open();
        let many = 2 * MOST_REFUSALS_AT_ONCE + 10;
        for number in 0..many {
            let (id, number) = (RecordId([1; 16]), number.to_be_bytes());
            outbox.record(RecordKind::Refuse, &id, &number, std::iter::empty());
        }
        record(&mut outbox, 7, RecordKind::Admit);
        let is_refusal = |entry: &v1::Entry| entry.kind() == v1::entry::Kind::Refuse;
        // The first batch is lost with its stream.
        let lost = decode(outbox.next_batch(UnixMillis(1), false, 0));
        let admit = lost.entries.iter().find(|entry| !is_refusal(entry));
        assert_eq!(admit.unwrap().record_id[0], 7);
        outbox.disconnected();
        outbox.connected([3; 16]);
        let mut told = Vec::new();
        for seq in 1..=3 {
            let up = decode(outbox.next_batch(UnixMillis(1), false, 0));
            assert!(up.entries.len() <= MOST_REFUSALS_AT_ONCE + 1);
            let refusals = up.entries.into_iter().filter(is_refusal);
            told.extend(refusals.map(|entry| entry.record.to_vec()));
            outbox.acknowledged(&ack(seq));
        }
        let all = (0..many).map(|number| number.to_be_bytes().to_vec());
        assert_eq!(told, all.collect::<Vec<_>>());
        assert_eq!(outbox.next_batch(UnixMillis(1), false, 0), None);
    }
}
