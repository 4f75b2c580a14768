//! What a worker has to tell its sidecar, and what of it is not yet durable.
//!
//! Natural batching: one batch is under way, everything else gathers into the next. So
//! a lone request goes at once, and under load batches grow by themselves.

use prost::Message as _;
use prost::bytes::Bytes;
use sekisho_domain::{RecordId, RecordKind, UnixMillis};

use crate::v1;

/// Most refusals kept while the stream is down; calls themselves are never dropped.
const MOST_REFUSALS: usize = 4096;

/// Most refusals of one batch: nobody waits for them, and what gathered while the stream was
/// down must not keep a sidecar that has just begun from those who wait.
const MOST_REFUSALS_AT_ONCE: usize = 256;

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
    gathering: v1::Up,
    refusals: usize,
    in_flight: Option<InFlight>,
    durable_at: UnixMillis,
}

#[derive(Clone, Debug)]
struct InFlight {
    up: v1::Up,
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
        if let Some(lost) = self.in_flight.take() {
            let mut entries = lost.up.entries;
            self.refusals += entries.iter().filter(|entry| is_refusal(entry)).count();
            entries.append(&mut self.gathering.entries);
            self.gathering.entries = entries;
            self.gathering.refusals_dropped += lost.up.refusals_dropped;
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

    /// Adds a record.
    pub fn record(&mut self, entry: v1::Entry) {
        if is_refusal(&entry) {
            if !self.connected && self.refusals >= MOST_REFUSALS {
                self.gathering.refusals_dropped += 1;
                return;
            }
            self.refusals += 1;
        }
        self.gathering.entries.push(entry);
    }

    /// How many records wait for the next batch.
    #[must_use]
    pub const fn gathered(&self) -> usize {
        self.gathering.entries.len()
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
    pub fn next_batch(
        &mut self,
        now: UnixMillis,
        heartbeat: bool,
        snapshot: u64,
    ) -> Option<Vec<u8>> {
        if !self.connected || self.in_flight.is_some() {
            return None;
        }
        let idle = self.gathering.entries.is_empty()
            && self.gathering.lease_requests.is_empty()
            && self.gathering.lease_returns.is_empty()
            && self.gathering.key_set_requests.is_empty();
        if idle && self.hello_sent && !heartbeat {
            return None;
        }
        let mut up = std::mem::take(&mut self.gathering);
        self.keep_refusals(&mut up);
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
        let bytes = up.encode_to_vec();
        self.in_flight = Some(InFlight { up, sent: now });
        Some(bytes)
    }

    /// Keeps refusals for later batches that are too many for one. They stay in their order,
    /// and after the admits of their calls.
    fn keep_refusals(&mut self, up: &mut v1::Up) {
        if self.refusals <= MOST_REFUSALS_AT_ONCE {
            self.refusals = 0;
            return;
        }
        let mut refusals = 0;
        let (now, later) = std::mem::take(&mut up.entries)
            .into_iter()
            .partition(|entry| {
                refusals += usize::from(is_refusal(entry));
                !is_refusal(entry) || refusals <= MOST_REFUSALS_AT_ONCE
            });
        up.entries = now;
        self.gathering.entries = later;
        self.refusals = self.gathering.entries.len();
    }

    /// When the batch under way was sent.
    #[must_use]
    pub fn waiting_since(&self) -> Option<UnixMillis> {
        self.in_flight.as_ref().map(|batch| batch.sent)
    }

    /// Takes an acknowledgement in; returns what it made durable, in order.
    pub fn acknowledged(&mut self, down: &v1::Down) -> Vec<Acknowledged> {
        let durable = self.in_flight.take_if(|batch| batch.up.seq <= down.ack);
        let Some(batch) = durable else {
            return Vec::new();
        };
        self.durable_at = batch.sent;
        if batch.up.hello.is_some() {
            self.gone.clear();
        }
        let refused = |id: &Bytes| down.refused.iter().any(|refused| refused == id);
        let entries = batch.up.entries.iter();
        entries
            .filter_map(|entry| {
                let kind = match entry.kind() {
                    v1::entry::Kind::Admit => RecordKind::Admit,
                    v1::entry::Kind::Complete => RecordKind::Complete,
                    v1::entry::Kind::Refuse => RecordKind::Refuse,
                    v1::entry::Kind::Unspecified => return None,
                };
                Some(Acknowledged {
                    record_id: RecordId::from_slice(&entry.record_id)?,
                    kind,
                    refused: kind == RecordKind::Admit && refused(&entry.record_id),
                })
            })
            .collect()
    }
}

fn is_refusal(entry: &v1::Entry) -> bool {
    entry.kind() == v1::entry::Kind::Refuse
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u8, kind: v1::entry::Kind) -> v1::Entry {
        v1::Entry {
            kind: kind.into(),
            record_id: Bytes::copy_from_slice(&[id; 16]),
            ..v1::Entry::default()
        }
    }

    fn decode(bytes: Option<Vec<u8>>) -> v1::Up {
        v1::Up::decode(bytes.unwrap().as_slice()).unwrap()
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
        outbox.record(entry(1, v1::entry::Kind::Admit));
        let first = decode(outbox.next_batch(UnixMillis(10), false, 0));
        assert_eq!((first.seq, first.entries.len()), (1, 1));
        outbox.record(entry(2, v1::entry::Kind::Admit));
        outbox.record(entry(3, v1::entry::Kind::Complete));
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
        outbox.record(entry(1, v1::entry::Kind::Admit));
        outbox.next_batch(UnixMillis(1), false, 0);
        outbox.record(entry(2, v1::entry::Kind::Admit));
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
        outbox.record(entry(1, v1::entry::Kind::Admit));
        outbox.record(entry(2, v1::entry::Kind::Admit));
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
        outbox.record(entry(1, v1::entry::Kind::Admit));
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
            outbox.record(entry(1, v1::entry::Kind::Refuse));
            outbox.record(entry(1, v1::entry::Kind::Complete));
        }
        outbox.connected([2; 16]);
        let up = decode(outbox.next_batch(UnixMillis(1), false, 0));
        assert_eq!(up.refusals_dropped, 5);
        // Calls go at once, refusals bit by bit.
        assert_eq!(up.entries.len(), MOST_REFUSALS + 5 + MOST_REFUSALS_AT_ONCE);
    }

    #[test]
    fn many_refusals_go_in_several_batches_in_their_order_and_none_is_lost() {
        let mut outbox = open();
        let refusal = |number: usize| v1::Entry {
            record: number.to_be_bytes().to_vec().into(),
            ..entry(1, v1::entry::Kind::Refuse)
        };
        let many = 2 * MOST_REFUSALS_AT_ONCE + 10;
        for number in 0..many {
            outbox.record(refusal(number));
        }
        outbox.record(entry(7, v1::entry::Kind::Admit));
        // The first batch is lost with its stream.
        let lost = decode(outbox.next_batch(UnixMillis(1), false, 0));
        assert!(lost.entries.contains(&entry(7, v1::entry::Kind::Admit)));
        outbox.disconnected();
        outbox.connected([3; 16]);
        let mut told = Vec::new();
        for seq in 1..=3 {
            let up = decode(outbox.next_batch(UnixMillis(1), false, 0));
            assert!(up.entries.len() <= MOST_REFUSALS_AT_ONCE + 1);
            told.extend(up.entries.into_iter().filter(is_refusal));
            outbox.acknowledged(&ack(seq));
        }
        assert_eq!(told, (0..many).map(refusal).collect::<Vec<_>>());
        assert_eq!(outbox.next_batch(UnixMillis(1), false, 0), None);
    }
}
