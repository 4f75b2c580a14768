//! How picking files up stands, for whoever watches the sidecar.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sekisho_domain::UnixMillis;

use super::Trouble;
use crate::vitals::Pulse;

/// How picking files up stands; cheap to clone.
#[derive(Clone, Debug)]
pub struct PickupStanding {
    place: Arc<str>,
    waiting: Arc<AtomicUsize>,
    pulse: Pulse,
}

impl PickupStanding {
    pub(super) fn new(place: &str) -> Self {
        Self {
            place: place.into(),
            waiting: Arc::default(),
            pulse: Pulse::default(),
        }
    }

    /// The URL of the place.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Files that are not done with, but for plans that wait for somebody.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// When the place was looked at last, and what is wrong with it.
    #[must_use]
    pub const fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Notes a look, and says in the sidecar's log when trouble begins, changes and ends.
    pub(super) fn looked(&self, now: UnixMillis, waiting: usize, trouble: Option<&Trouble>) {
        self.waiting.store(waiting, Ordering::Relaxed);
        let place = &*self.place;
        match trouble {
            Some(trouble) => {
                if self.pulse.failed(now, trouble.to_string()) {
                    let error: &dyn std::error::Error = trouble;
                    tracing::error!(error, place, "files of people cannot be picked up");
                }
            }
            None => {
                if self.pulse.well(now) {
                    tracing::info!(place, "files of people are picked up again");
                }
            }
        }
    }
}
