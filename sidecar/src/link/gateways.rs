//! How many workers are connected, and when one was heard last.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::clock::Clock;
use crate::vitals::Pulse;

/// Notes what is heard of workers; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Gateways(Option<Arc<Noted>>);

#[derive(Debug)]
struct Noted {
    connected: AtomicUsize,
    pulse: Pulse,
    clock: Clock,
}

impl Gateways {
    pub(super) fn noted(pulse: Pulse, clock: Clock) -> Self {
        let connected = AtomicUsize::new(0);
        Self(Some(Arc::new(Noted {
            connected,
            pulse,
            clock,
        })))
    }

    /// A worker's batch was taken.
    pub(super) fn heard(&self, is_counted: &mut bool) {
        let Some(noted) = &self.0 else { return };
        if !std::mem::replace(is_counted, true) {
            noted.connected.fetch_add(1, Ordering::Relaxed);
        }
        noted.pulse.well(noted.clock.now());
    }

    /// A worker has gone. When the last one has, nothing is known of them any longer.
    pub(super) fn left(&self, was_counted: bool) {
        let Some(noted) = &self.0 else { return };
        if was_counted && noted.connected.fetch_sub(1, Ordering::Relaxed) == 1 {
            noted.pulse.unused();
        }
    }
}
