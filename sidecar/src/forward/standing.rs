//! How recipients stand, for whoever watches the sidecar.

use std::sync::{Arc, Mutex, PoisonError};

use sekisho_domain::UnixMillis;
use tokio::sync::watch;

use crate::vitals::Beat;

/// What a recipient is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// The records of the log.
    Log,
    /// The alerts.
    Alerts,
}

/// How one recipient stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The name of its cursor: the section of the policy file and its name there.
    pub name: String,
    /// What kind of recipient it is, as in the policy file.
    pub kind: &'static str,
    /// What it is brought.
    pub list: List,
    /// The place of the first entry that it has not taken.
    pub next: u64,
    /// How it is.
    pub beat: Beat,
}

impl Standing {
    /// What is wrong, while something is.
    #[must_use]
    pub const fn failing(&self) -> Option<&Failing> {
        self.beat.failing.as_ref()
    }
}

/// What is wrong with a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: UnixMillis,
    /// What.
    pub why: String,
}

/// How all of them stand; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Standings(Arc<Mutex<Vec<watch::Receiver<Standing>>>>);

impl Standings {
    pub(crate) fn add(&self, standing: watch::Receiver<Standing>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(standing);
    }

    /// In the order of the policy file; none where another sidecar does the work.
    #[must_use]
    pub fn all(&self) -> Vec<Standing> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|one| one.borrow().clone()).collect()
    }
}
