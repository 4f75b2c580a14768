//! What is set aside for a call.

use std::rc::Rc;

use sekisho_domain::{Meter, Micros, StreamCut, UnixMillis, Usage};

use crate::Slot;

/// The name under which the sidecar knows this worker's present leases.
pub type HolderId = [u8; 16];

/// A part of a lease set aside for one call.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reservation {
    /// Whose lease it is.
    pub holder: HolderId,
    /// Which budget, by the name of its counter.
    #[serde(with = "shared")]
    pub budget: Rc<str>,
    /// What it counts.
    pub meter: Meter,
    /// Start of its window.
    pub window_start: UnixMillis,
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

/// Text of which every reservation has a reference.
mod shared {
    use std::rc::Rc;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Rc<str>, D::Error> {
        String::deserialize(from).map(Into::into)
    }
}
