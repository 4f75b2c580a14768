//! The settings in force, for whoever obeys them.

use std::sync::Arc;
use std::time::Duration;

use sekisho_domain::Problem;
use tokio::sync::watch;

use super::ground::Ground;
use crate::alerts::config::Rules;
use crate::mail::Language;
use crate::provisioning::PeopleSettings;
use crate::store::{Store, StoreError, settings};

/// How long a change by another sidecar may stay unseen.
const PERIOD: Duration = Duration::from_millis(250);

/// What is in force of what can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// The version of the settings; 0: nothing was ever set.
    pub version: i64,
    /// What raises alerts.
    pub rules: Rules,
    /// How accounts of people are made and kept.
    pub people: Arc<PeopleSettings>,
    /// The language of mails, where nobody says another.
    pub language: Language,
    /// After so many days nobody can read what was kept of bodies; none: no end.
    pub contents_days: Option<u32>,
    /// How often directory and tenant are compared by themselves; none: never.
    pub compare_every: Option<Duration>,
    /// Why what is set is not in force, but the policy file alone; empty: it is.
    pub problems: Vec<Problem>,
}

/// The settings in force; cheap to clone.
#[derive(Clone, Debug)]
pub struct LiveSettings(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ground: Ground,
    current: watch::Sender<Arc<InForce>>,
}

impl LiveSettings {
    /// What the policy file says, until something else is read from the database.
    ///
    /// # Errors
    /// The file cannot be obeyed.
    pub fn new(ground: Ground) -> Result<Self, Vec<Problem>> {
        let in_force = ground.check(&super::SettingsValues::default())?;
        Ok(Self::of(ground, in_force))
    }

    /// These settings, over a policy file that says nothing.
    #[must_use]
    pub fn fixed(in_force: InForce) -> Self {
        Self::of(Ground::default(), in_force)
    }

    fn of(ground: Ground, in_force: InForce) -> Self {
        let current = watch::channel(Arc::new(in_force)).0;
        Self(Arc::new(Shared { ground, current }))
    }

    /// The policy file.
    #[must_use]
    pub fn ground(&self) -> &Ground {
        &self.0.ground
    }

    /// What is in force now.
    #[must_use]
    pub fn now(&self) -> Arc<InForce> {
        Arc::clone(&self.0.current.borrow())
    }

    /// Tells of every change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<InForce>> {
        self.0.current.subscribe()
    }

    /// Takes over what is stored, if it is newer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        if settings::newest_version(store).await? <= self.now().version {
            return Ok(());
        }
        if let Some(stored) = settings::newest(store).await? {
            self.take(&stored);
        }
        Ok(())
    }

    /// Takes over what was stored, if it is newer.
    pub fn take(&self, stored: &settings::Change) {
        let ground = &self.0.ground;
        let mut in_force = ground.admit(&stored.values).unwrap_or_else(|problems| {
            let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
            let problems_shown = texts.join("; ");
            tracing::error!(
                problems = problems_shown,
                "stored settings do not fit the policy file, which is in force alone"
            );
            let of_file = ground.check(&super::SettingsValues::default());
            InForce {
                problems,
                ..of_file.unwrap_or_else(|_| (*self.now()).clone())
            }
        });
        in_force.version = stored.version;
        self.0.current.send_if_modified(|current| {
            let is_newer = in_force.version > current.version;
            if is_newer {
                *current = Arc::new(in_force);
            }
            is_newer
        });
    }

    /// Looks for changes for ever.
    pub async fn keep_up(self, store: Store) {
        let mut is_failing = false;
        loop {
            tokio::time::sleep(PERIOD).await;
            match self.refresh(&store).await {
                Ok(()) => is_failing = false,
                Err(error) => {
                    // Once per outage, not four times a second.
                    if !is_failing {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(error, "settings cannot be read");
                    }
                    is_failing = true;
                }
            }
        }
    }
}
