//! Calls that wait for the sidecar.

use std::collections::HashMap;

use sekisho_domain::{RecordId, RecordKind, UnixMillis};

use crate::call::SharedCall;
use crate::filter::Filter;
use crate::key_waits::KeyWaits;

/// A call that waits.
#[derive(Debug)]
pub(crate) struct Held {
    /// The stream's context.
    pub(crate) context: u32,
    pub(crate) call: SharedCall,
    pub(crate) since: UnixMillis,
}

/// A call that waits for a signing key: then it goes on from where it was.
pub(crate) struct HeldForKey {
    pub(crate) filter: Filter,
    pub(crate) since: UnixMillis,
}

impl From<HeldForKey> for Held {
    fn from(held: HeldForKey) -> Self {
        Self {
            context: held.filter.context,
            call: held.filter.call,
            since: held.since,
        }
    }
}

/// Who waits for what.
#[derive(Default)]
pub(crate) struct Waiting {
    /// Somebody waits for what has not been sent.
    is_new: bool,
    /// For signing keys of issuers.
    pub(crate) keys: KeyWaits<HeldForKey>,
    /// For leases, by the request's id.
    leases: HashMap<u64, Held>,
    /// For the admit to be durable.
    admits: HashMap<RecordId, Held>,
    /// For the completion to be durable.
    completions: HashMap<RecordId, Held>,
}

impl Waiting {
    /// A call waits for the leases of a request.
    pub(crate) fn for_leases(&mut self, request: u64, held: Held) {
        self.is_new = true;
        self.leases.insert(request, held);
    }

    /// A call waits for its admit to be durable.
    pub(crate) fn for_admit(&mut self, record_id: RecordId, held: Held) {
        self.is_new = true;
        self.admits.insert(record_id, held);
    }

    /// An answer waits for its completion to be durable.
    pub(crate) fn for_completion(&mut self, record_id: RecordId, held: Held) {
        self.is_new = true;
        self.completions.insert(record_id, held);
    }

    /// Whether anybody waits for what has not been sent.
    pub(crate) const fn is_new(&self) -> bool {
        self.is_new
    }

    /// All that anybody waits for is under way.
    pub(crate) const fn sent(&mut self) {
        self.is_new = false;
    }

    /// A request for leases has its answer; returns whoever waits for it.
    pub(crate) fn leased(&mut self, request: u64) -> Option<Held> {
        self.leases.remove(&request)
    }

    /// A record is durable; returns whoever waits for it.
    pub(crate) fn durable(&mut self, kind: RecordKind, record_id: &RecordId) -> Option<Held> {
        match kind {
            RecordKind::Admit => self.admits.remove(record_id),
            RecordKind::Complete => self.completions.remove(record_id),
            RecordKind::Refuse | RecordKind::Event | RecordKind::Contents => None,
        }
    }

    /// Whether any call waits for the sidecar.
    pub(crate) fn is_anybody(&self) -> bool {
        !(self.leases.is_empty() && self.admits.is_empty() && self.completions.is_empty())
    }

    /// Takes out every request that still is before its upstream.
    pub(crate) fn take_requests(&mut self) -> Vec<Held> {
        let admits = self.admits.drain().map(|(_, held)| held);
        admits
            .chain(self.leases.drain().map(|(_, held)| held))
            .chain(self.keys.take().into_iter().map(Held::from))
            .collect()
    }

    /// Takes out the requests that have waited for `millis`.
    pub(crate) fn take_late_requests(&mut self, now: UnixMillis, millis: u64) -> Vec<Held> {
        let mut late = take_late(&mut self.admits, now, millis);
        late.extend(take_late(&mut self.leases, now, millis));
        late
    }

    /// Takes out the requests that have waited for a signing key for `millis`.
    pub(crate) fn take_late_for_keys(&mut self, now: UnixMillis, millis: u64) -> Vec<Held> {
        let late = self.keys.take_if(|held| now.since(held.since) >= millis);
        late.into_iter().map(Held::from).collect()
    }

    /// Takes out the answers that have waited for `millis`.
    pub(crate) fn take_late_answers(&mut self, now: UnixMillis, millis: u64) -> Vec<Held> {
        take_late(&mut self.completions, now, millis)
    }

    /// Forgets a stream that is gone.
    pub(crate) fn forget(&mut self, record_id: &RecordId, context: u32) {
        if self.is_anybody() {
            self.admits.remove(record_id);
            self.completions.remove(record_id);
            self.leases.retain(|_, held| held.context != context);
        }
        self.keys.take_if(|held| held.filter.context == context);
    }

    /// Forgets all of a session that is gone: each of its answers has a record of its own.
    pub(crate) fn forget_context(&mut self, context: u32) {
        self.leases.retain(|_, held| held.context != context);
        self.admits.retain(|_, held| held.context != context);
        self.completions.retain(|_, held| held.context != context);
    }
}

fn take_late<K: Copy + Eq + std::hash::Hash>(
    map: &mut HashMap<K, Held>,
    now: UnixMillis,
    millis: u64,
) -> Vec<Held> {
    let late: Vec<K> = map
        .iter()
        .filter(|(_, held)| now.since(held.since) >= millis)
        .map(|(key, _)| *key)
        .collect();
    late.iter().filter_map(|key| map.remove(key)).collect()
}
