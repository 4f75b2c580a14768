//! What one module of a chain hands on to the next, through the proxy's filter state.
//!
//! Filter state cannot be written by clients, unlike headers. The property has one
//! segment: Envoy makes names of several segments unreadable.

use sekisho_audit::Passage;
use sekisho_domain::{Micros, Usage};
use sekisho_quota::Reservation;
use serde::{Deserialize, Serialize};

use crate::host;

const PASSAGE: &str = "sekisho";
const USED: &str = "sekisho_used";

/// A call as the modules before this one left it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Handover {
    pub(crate) passage: Passage,
    pub(crate) reservations: Vec<Reservation>,
}

/// What a call used in the end; `None`: it never went upstream.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Used(pub(crate) Option<(Usage, Micros)>);

impl Handover {
    /// What was handed to this module.
    pub(crate) fn read() -> Option<Self> {
        serde_json::from_slice(&host::property(PASSAGE)?).ok()
    }

    /// Hands it to the next.
    pub(crate) fn write(&self) {
        host::set_property(PASSAGE, &serde_json::to_vec(self).unwrap_or_default());
    }
}

impl Used {
    /// What a later module has said, if it has.
    pub(crate) fn read() -> Option<Self> {
        serde_json::from_slice(&host::property(USED)?).ok()
    }

    /// Tells the earlier modules.
    pub(crate) fn write(self) {
        host::set_property(USED, &serde_json::to_vec(&self).unwrap_or_default());
    }
}
