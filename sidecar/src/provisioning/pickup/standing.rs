//! How picking files up stands, for whoever watches the sidecar.

use std::sync::{Arc, Mutex, PoisonError};

use sekisho_domain::UnixMillis;

use super::Trouble;
use crate::forward::Failing;

/// How picking files up stands; cheap to clone.
#[derive(Clone, Debug)]
pub struct PickupStanding(Arc<Mutex<Standing>>);

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The URL of the place.
    pub place: String,
    /// When it was looked at last.
    pub looked_at: Option<UnixMillis>,
    /// Files that are not done with, but for plans that wait for somebody.
    pub waiting: usize,
    /// What is wrong, while something is.
    pub failing: Option<Failing>,
}

impl PickupStanding {
    pub(super) fn new(place: String) -> Self {
        Self(Arc::new(Mutex::new(Standing {
            place,
            looked_at: None,
            waiting: 0,
            failing: None,
        })))
    }

    /// How it stands.
    #[must_use]
    pub fn get(&self) -> Standing {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes a look, and says in the sidecar's log when trouble begins and when it ends.
    pub(super) fn looked(&self, now: UnixMillis, waiting: usize, trouble: Option<&Trouble>) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = standing.place.clone();
        standing.looked_at = Some(now);
        standing.waiting = waiting;
        let failing = standing.failing.take();
        match trouble {
            Some(trouble) => {
                if failing.is_none() {
                    let error: &dyn std::error::Error = trouble;
                    tracing::error!(error, place, "files of people cannot be picked up");
                }
                standing.failing = Some(Failing {
                    since: failing.map_or(now, |failing| failing.since),
                    why: trouble.to_string(),
                });
            }
            None if failing.is_some() => {
                tracing::info!(place, "files of people are picked up again");
            }
            None => {}
        }
    }
}
