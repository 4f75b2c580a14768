//! What is set aside for a call.

use std::cell::OnceCell;
use std::rc::Rc;

use sekisho_domain::{Meter, Micros, StreamCut, UnixMillis, Usage};

use crate::Slot;

/// The name under which the sidecar knows this worker's present leases.
pub type HolderId = [u8; 16];

/// Which lease. All that is set aside from it shares this.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LeaseId {
    /// Whose it is.
    pub holder: HolderId,
    /// Of which budget, by the name of its counter.
    pub budget: String,
    /// Start of the budget's window.
    pub window_start: UnixMillis,
    #[serde(skip)]
    written: OnceCell<Box<[u8]>>,
}

impl LeaseId {
    /// A lease's name.
    #[must_use]
    pub fn new(holder: HolderId, budget: &str, window_start: UnixMillis) -> Self {
        Self {
            holder,
            budget: budget.to_owned(),
            window_start,
            written: OnceCell::new(),
        }
    }

    /// It as records have it: `write` is called once, because each record of each call has it
    /// for each budget.
    pub fn written(&self, write: impl FnOnce(&Self) -> Box<[u8]>) -> &[u8] {
        self.written.get_or_init(|| write(self))
    }
}

/// A part of a lease set aside for one call.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reservation {
    /// Which lease.
    #[serde(with = "shared")]
    pub lease: Rc<LeaseId>,
    /// What its budget counts.
    pub meter: Meter,
    /// How much.
    pub amount: u64,
    /// How the budget follows an answer that streams, if it does.
    #[serde(skip)]
    pub(crate) cut: Option<StreamCut>,
    /// The budget's place in the VM whose lease it is; none elsewhere.
    #[serde(skip)]
    pub(crate) slot: Slot,
}

impl Reservation {
    /// How much of the budget a call took that used this.
    #[must_use]
    pub fn used(&self, usage: &Usage, cost: Micros) -> u64 {
        self.meter.used(usage, cost)
    }

    /// Whether it may grow as an answer streams.
    #[must_use]
    pub const fn is_followed(&self) -> bool {
        self.cut.is_some()
    }
}

/// What every reservation has a reference of.
mod shared {
    use std::rc::Rc;

    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    use super::LeaseId;

    pub(super) fn serialize<S: Serializer>(lease: &LeaseId, to: S) -> Result<S::Ok, S::Error> {
        lease.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Rc<LeaseId>, D::Error> {
        LeaseId::deserialize(from).map(Rc::new)
    }
}
