//! Directory and Entra ID side by side: what differs is shown, and what was shown can be
//! corrected, in one direction or the other.

mod correct;
mod drift;

use std::sync::{Arc, Mutex, PoisonError};

use sekisho_domain::{UnixMillis, UserId};

use super::fault::GraphError;
use super::graph::Graph;
use crate::clock::Clock;
use crate::events::Author;
use crate::ledger::Calendar;
use crate::settings::LiveSettings;
use crate::snapshot::SnapshotHub;
use crate::store::{Store, StoreError, people};
use crate::vitals::Pulse;
use crate::writer::Writer;
pub use drift::{Drift, Said};

/// Whose word counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Entra ID is made as the directory says.
    ToEntra,
    /// The directory is made as Entra ID says.
    FromEntra,
}

/// What was found, and what became of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its name: that of the plan which a correction is of.
    pub id: String,
    /// When it was begun.
    pub began: UnixMillis,
    /// When it ended; none: it is under way.
    pub ended: Option<UnixMillis>,
    /// In which direction it corrects; none: it only looks.
    pub apply: Option<Direction>,
    /// Everybody whose account differs.
    pub drifts: Vec<Drift>,
    /// Who was corrected.
    pub corrected: Vec<UserId>,
    /// Who was not, and why.
    pub left: Vec<(UserId, String)>,
    /// Why it ended early.
    pub failed: Option<String>,
}

/// Why none is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBegun {
    /// One at a time.
    #[error("a synchronisation is under way")]
    Running,
    /// What is corrected must have been shown.
    #[error("this is not the plan that was made last: look at the newest one first")]
    OtherPlan,
}

/// Why one ends early.
#[derive(Debug, thiserror::Error)]
pub(super) enum SyncError {
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the audit log cannot be written")]
    Unrecorded,
}

/// The two of them; cheap to clone.
#[derive(Clone, Debug)]
pub struct EntraSync(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    graph: Graph,
    tenant: String,
    store: Store,
    hub: SnapshotHub,
    calendar: Calendar,
    clock: Clock,
    last: Mutex<Option<Report>>,
}

impl EntraSync {
    /// Nothing is looked at yet.
    #[must_use]
    pub fn new(
        graph: Graph,
        tenant: String,
        store: Store,
        hub: SnapshotHub,
        calendar: Calendar,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Shared {
            graph,
            tenant,
            store,
            hub,
            calendar,
            clock,
            last: Mutex::new(None),
        }))
    }

    /// Id of the tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.0.tenant
    }

    /// The way to the tenant.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.0.graph
    }

    /// The newest report, also while it is being made.
    #[must_use]
    pub fn last(&self) -> Option<Report> {
        self.last_one().clone()
    }

    fn last_one(&self) -> std::sync::MutexGuard<'_, Option<Report>> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to look. `id`: a new name.
    ///
    /// # Errors
    /// [`NotBegun`].
    pub fn plan(&self, id: String) -> Result<Report, NotBegun> {
        let report = {
            let mut last = self.last_one();
            if last.as_ref().is_some_and(|last| last.ended.is_none()) {
                return Err(NotBegun::Running);
            }
            let report = self.report(id, None, Vec::new());
            *last = Some(report.clone());
            report
        };
        let sync = self.clone();
        tokio::spawn(async move {
            let looked = sync.look().await;
            sync.end(looked.map(|drifts| (drifts, Vec::new(), Vec::new())));
        });
        Ok(report)
    }

    /// Begins to correct what the plan of this name has shown and is still so.
    ///
    /// # Errors
    /// [`NotBegun`].
    pub fn apply(
        &self,
        plan: &str,
        direction: Direction,
        writer: Writer,
        author: Author,
    ) -> Result<Report, NotBegun> {
        let (report, shown) = {
            let mut last = self.last_one();
            let shown = match &*last {
                Some(last) if last.ended.is_none() => return Err(NotBegun::Running),
                Some(last) if last.id == plan && last.apply.is_none() && last.failed.is_none() => {
                    last.drifts.clone()
                }
                _ => return Err(NotBegun::OtherPlan),
            };
            let report = self.report(plan.to_owned(), Some(direction), shown.clone());
            *last = Some(report.clone());
            (report, shown)
        };
        let sync = self.clone();
        tokio::spawn(async move {
            let done = sync.correct(shown, direction, &writer, author).await;
            sync.end(done);
        });
        Ok(report)
    }

    /// How Graph is.
    #[must_use]
    pub fn pulse(&self) -> &Pulse {
        self.0.graph.pulse()
    }

    /// Looks again and again, as often as the settings say; never ends.
    pub async fn keep_looking(self, settings: LiveSettings) {
        let mut changes = settings.changes();
        loop {
            let every = changes.borrow_and_update().compare_every;
            let changed = async {
                // Another pause is counted from its beginning; whoever changes something else
                // delays nothing.
                while changes.changed().await.is_ok() {
                    if changes.borrow_and_update().compare_every != every {
                        return;
                    }
                }
            };
            let pause = async {
                match every {
                    Some(every) => tokio::time::sleep(every).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => continue,
                () = pause => {}
            }
            let mut id = [0; 16];
            if getrandom::fill(&mut id).is_ok() {
                // One that is under way is as good.
                let _ = self.plan(uuid::Uuid::from_bytes(id).to_string());
            }
        }
    }

    fn report(&self, id: String, apply: Option<Direction>, drifts: Vec<Drift>) -> Report {
        Report {
            id,
            began: self.0.clock.now(),
            ended: None,
            apply,
            drifts,
            corrected: Vec::new(),
            left: Vec::new(),
            failed: None,
        }
    }

    /// Everybody whose account differs just now.
    async fn look(&self) -> Result<Vec<Drift>, SyncError> {
        let shared = &*self.0;
        let accounts = shared.graph.everybody().await?;
        let everybody = people::changed_after(&shared.store, -1).await?;
        let today = shared.calendar.day(shared.clock.now());
        let policy = shared.hub.policy();
        Ok(drift::drifts(
            &everybody,
            accounts,
            &policy,
            &shared.tenant,
            today,
        ))
    }

    fn end(&self, outcome: Result<correct::Corrected, SyncError>) {
        let now = self.0.clock.now();
        let mut last = self.last_one();
        let Some(report) = &mut *last else { return };
        report.ended = Some(now);
        match outcome {
            Ok((drifts, corrected, left)) => {
                if !drifts.is_empty() && report.apply.is_none() {
                    let accounts = drifts.len();
                    tracing::warn!(accounts, "Entra ID and the directory differ");
                }
                (report.drifts, report.corrected, report.left) = (drifts, corrected, left);
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "Entra ID and the directory cannot be compared"
                );
                report.failed = Some(error.to_string());
            }
        }
    }
}
