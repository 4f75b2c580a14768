//! What a worker has to tell its sidecar, and what of it is not yet durable.
//!
//! Natural batching: one batch is under way, everything else gathers into the next. So
//! a lone request goes at once, and under load batches grow by themselves.
//!
//! Where somebody waits for what has gathered, a second batch goes behind the first, so that the
//! sidecar can begin with it as soon as it has made the first durable.

mod records;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use prost::Message as _;
use prost::bytes::Bytes;
use sekisho_domain::{RecordId, RecordKind, UnixMillis};

use crate::entry::{self, Reserved};
use crate::v1;
use crate::v1::contents::Half;
use records::{MOST_CONTENTS_AT_ONCE, MOST_REFUSALS_AT_ONCE, Named, Records};

/// Largest memory of a batch that is kept for a later one, bytes.
const MOST_SPARE: usize = 256 * 1024;

/// Most refusals kept while the stream is down; calls themselves are never dropped.
const MOST_REFUSALS: usize = 4096;

/// Batches that may be under way at once: as many as a sidecar reads ahead.
const MOST_UNDER_WAY: usize = 2;

/// What the next batch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nobody waits for what has gathered: it goes when nothing else is under way.
    Usual,
    /// Somebody does: it goes behind another batch, too.
    Awaited,
    /// A sign of life: an empty batch will do, when nothing else is under way.
    Heartbeat,
}

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
    /// Bytes of bodies that are not durable, those of batches under way among them.
    contents: usize,
    /// Oldest first.
    in_flight: VecDeque<InFlight>,
    /// Of batches that were acknowledged, for others to come.
    spare: [Vec<u8>; MOST_UNDER_WAY],
    durable_at: UnixMillis,
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
        while let Some(mut lost) = self.in_flight.pop_back() {
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

    /// The next batch to send, encoded; `None` while others are under way that it would have to
    /// wait for, nothing is to be said, or no stream is open.
    pub fn next_batch(&mut self, now: UnixMillis, need: Need, snapshot: u64) -> Option<&[u8]> {
        if !self.connected || !self.may_go(need) {
            return None;
        }
        let idle = self.records.named.is_empty()
            && self.gathering.lease_requests.is_empty()
            && self.gathering.lease_returns.is_empty()
            && self.gathering.key_set_requests.is_empty();
        if idle && self.hello_sent && need != Need::Heartbeat {
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
            encoded: self.take_spare(),
            named: Vec::new(),
        };
        let mut records = std::mem::replace(&mut self.records, gathering);
        // The rest is kept for later batches.
        self.refusals = if self.is_much() {
            records.keep_rest(&mut self.records);
            self.records.refusals()
        } else {
            0
        };
        let rest = records.encoded.len();
        // The fields of a message may come in any order, its records first.
        records.encoded.extend_from_slice(&up.encode_to_vec());
        self.in_flight.push_back(InFlight {
            records,
            rest,
            seq: up.seq,
            has_hello: up.hello.is_some(),
            refusals_dropped: up.refusals_dropped,
            sent: now,
        });
        self.in_flight.back().map(|batch| &*batch.records.encoded)
    }

    /// Whether a batch may go besides those that are under way.
    fn may_go(&self, need: Need) -> bool {
        let Some(first) = self.in_flight.front() else {
            return true;
        };
        // A sidecar that has not taken the first of a stream may be none that takes any. And what
        // is too much for one batch is not sent in two at once either: those who wait would wait
        // for all of it.
        need == Need::Awaited
            && self.in_flight.len() < MOST_UNDER_WAY
            && !first.has_hello
            && !self.is_much()
    }

    /// Whether it would be too much to send all that has gathered.
    const fn is_much(&self) -> bool {
        self.refusals > MOST_REFUSALS_AT_ONCE || self.contents > MOST_CONTENTS_AT_ONCE
    }

    /// When the oldest batch under way was sent.
    #[must_use]
    pub fn waiting_since(&self) -> Option<UnixMillis> {
        self.in_flight.front().map(|batch| batch.sent)
    }

    /// Takes an acknowledgement in; returns what it made durable, in order.
    pub fn acknowledged(&mut self, down: &v1::Down) -> Vec<Acknowledged> {
        let mut durable = Vec::new();
        while let Some(batch) = self.in_flight.front()
            && batch.seq <= down.ack
            && let Some(batch) = self.in_flight.pop_front()
        {
            self.is_durable(batch, down, &mut durable);
        }
        durable
    }

    fn is_durable(&mut self, batch: InFlight, down: &v1::Down, durable: &mut Vec<Acknowledged>) {
        let InFlight {
            records,
            has_hello,
            sent,
            ..
        } = batch;
        self.durable_at = sent;
        if self.contents > 0 {
            self.contents = self.contents.saturating_sub(records.contents());
        }
        if has_hello {
            self.gone.clear();
        }
        let refused = |id: &RecordId| down.refused.iter().any(|refused| **refused == id.0);
        let named = records.named.into_iter();
        durable.extend(named.filter_map(|named| {
            let kind = named.kind?;
            Some(Acknowledged {
                record_id: named.record_id,
                kind,
                refused: kind == RecordKind::Admit && refused(&named.record_id),
            })
        }));
        self.keep_spare(records.encoded);
    }

    fn take_spare(&mut self) -> Vec<u8> {
        let spare = self.spare.iter_mut().find(|spare| spare.capacity() > 0);
        spare.map(std::mem::take).unwrap_or_default()
    }

    fn keep_spare(&mut self, mut spare: Vec<u8>) {
        let mut places = self.spare.iter_mut();
        if let Some(place) = places.find(|place| place.capacity() == 0)
            && spare.capacity() <= MOST_SPARE
        {
            spare.clear();
            *place = spare;
        }
    }
}
