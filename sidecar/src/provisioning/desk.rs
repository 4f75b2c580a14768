//! Where people ask for accounts: files are planned, and single people ordered, here.

mod confirming;
mod files;
mod people;

use std::sync::Arc;
use std::time::Duration;

use sekisho_domain::Policy;
use sqlx::AnyConnection;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::config::PeopleSettings;
use super::jobs::{self, Deed, NewJob, NewTask, Phase, State, Task, Wanted};
use crate::events::Author;
use crate::people::Person;
use crate::people::csv::RowProblem;
use crate::people::sealed::{Opener, SealError};
use crate::snapshot::SnapshotHub;
use crate::store::units::{NewUnit, Units};
use crate::store::{Store, StoreError, pending};
pub use confirming::NotConfirmed;
pub use files::{Missing, Uploaded, Wishes};

/// How often is looked whether a job has ended.
const LOOK: Duration = Duration::from_millis(40);

/// Takes orders for people and their accounts; cheap to clone.
#[derive(Clone, Debug)]
pub struct Desk {
    store: Store,
    hub: SnapshotHub,
    settings: Arc<PeopleSettings>,
    opener: Option<Opener>,
    tenant: Option<String>,
    accounts: &'static str,
    has_mail: bool,
    wake: Arc<Notify>,
}

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It cannot be opened.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// There is no key.
    #[error("this sidecar has no key to open encrypted files")]
    NoKey,
    /// It is not encrypted.
    #[error(
        "the file is not encrypted, and the policy (`people.plain_csv`) does not take such: encrypt it with age for the recipient that `sekisho keys recipient` prints"
    )]
    Plain,
    /// Rows are wrong.
    #[error("the file has {}", crate::policy_file::count(problems.len()))]
    Problems {
        /// All that is wrong.
        problems: Vec<RowProblem>,
        /// Rows of the file.
        total: usize,
    },
    /// The policy has several tenants.
    #[error(
        "the policy has issuers of several tenants: say in `people.tenant` in which accounts are made"
    )]
    NoTenant,
    /// The person is there already.
    #[error("the directory has a person of this id already")]
    Known,
    /// What is to be created does not fit the policy.
    #[error("departments or titles that the file names cannot be created: {0}")]
    Units(String),
    /// Another sidecar has taken the file.
    #[error("the file was taken already")]
    Taken,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Desk {
    /// Takes orders. `opener`: opens encrypted files; `accounts`: what makes accounts is called;
    /// `has_mail`: whether people can be told.
    #[must_use]
    pub fn new(
        store: Store,
        hub: SnapshotHub,
        settings: Arc<PeopleSettings>,
        opener: Option<Opener>,
        accounts: &'static str,
        has_mail: bool,
    ) -> Self {
        let tenant = tenant(&hub.policy(), &settings);
        Self {
            store,
            hub,
            settings,
            opener,
            tenant,
            accounts,
            has_mail,
            wake: Arc::new(Notify::new()),
        }
    }

    /// Wakes whoever carries orders out.
    #[must_use]
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// What makes accounts is called.
    #[must_use]
    pub const fn accounts(&self) -> &'static str {
        self.accounts
    }

    /// How accounts are made.
    #[must_use]
    pub fn settings(&self) -> &PeopleSettings {
        &self.settings
    }

    /// Whether people can be told of passwords.
    #[must_use]
    pub const fn has_mail(&self) -> bool {
        self.has_mail
    }

    /// Whether the policy is sound with these.
    fn check(&self, units: Option<&Units>) -> Result<(), String> {
        let Some(units) = units else { return Ok(()) };
        self.hub.check_units(units).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            problems.join("; ")
        })
    }

    /// Gateways know them from now on.
    fn put_in_force(&self, units: Option<&Units>) {
        let replaced = units.map(|units| self.hub.replace_units(units));
        if let Some(Err(problems)) = replaced {
            // What was sound a moment ago is sound.
            tracing::error!(?problems, "departments cannot be put in force");
        }
    }

    /// Cancels what of a job has not begun; `false`: there is nothing to cancel.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cancel(&self, id: &str, author: &mut Author) -> Result<bool, StoreError> {
        let mut transaction = self.store.begin_writing().await?;
        let done = jobs::cancel(&mut transaction, id, author.at()).await?;
        if done {
            tell(&mut transaction, author, "provisioning.cancel", id, "").await?;
            transaction.commit().await?;
        }
        self.wake.notify_one();
        Ok(done)
    }

    /// Tries once more what of a job has failed; `false`: nothing has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn retry(&self, id: &str, author: &mut Author) -> Result<bool, StoreError> {
        let mut transaction = self.store.begin_writing().await?;
        let done = jobs::retry(&mut transaction, id).await?;
        if done {
            tell(&mut transaction, author, "provisioning.retry", id, "").await?;
            transaction.commit().await?;
        }
        self.wake.notify_one();
        Ok(done)
    }

    /// Orders something that needs no change of the directory, or one by whoever carries it out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn order(
        &self,
        deed: Deed,
        person: &Person,
        id: String,
        author: &mut Author,
    ) -> Result<(), StoreError> {
        let job = follow_up(deed, person, id, author);
        let mut transaction = self.store.begin_writing().await?;
        jobs::add(&mut transaction, &job).await?;
        let event = match deed {
            Deed::ResetPassword => Some("user.reset_password"),
            Deed::Unlock => Some("user.unlock"),
            // Whoever carries the others out tells of them.
            _ => None,
        };
        if let Some(event) = event {
            let told = author.tell(event, person.id.as_str());
            pending::leave(&mut transaction, told).await?;
        }
        transaction.commit().await?;
        self.wake.notify_one();
        Ok(())
    }

    /// Waits until the first task of a job has ended, but not longer; `None`: it has not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ended(&self, job: &str, patience: Duration) -> Result<Option<Task>, StoreError> {
        let began = Instant::now();
        self.wake.notify_one();
        loop {
            let tasks = jobs::tasks(&self.store, job, 0, 1).await?;
            match tasks.into_iter().next() {
                Some(task) if task.state != State::Waiting => return Ok(Some(task)),
                _ if began.elapsed() >= patience => return Ok(None),
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

/// The tenant in which accounts are made.
#[must_use]
pub fn tenant(policy: &Policy, settings: &PeopleSettings) -> Option<String> {
    if let Some(tenant) = &settings.tenant {
        return Some(tenant.clone());
    }
    let mut tenants = policy
        .issuers
        .iter()
        .map(|issuer| issuer.tenant.to_lowercase());
    let first = tenants.next()?;
    tenants.all(|tenant| tenant == first).then_some(first)
}

/// The job that does to a person's account what was done, or is to be done, to the person.
#[must_use]
pub fn follow_up(deed: Deed, person: &Person, id: String, author: &Author) -> NewJob {
    let mut task = new_task(deed, 0, Vec::new(), person);
    task.wanted = None;
    task.phase = if deed == Deed::Delete {
        Phase::Save
    } else {
        Phase::Account
    };
    order(id, task, author)
}

/// What is created for these people, each once.
fn distinct<'w>(wanted: impl Iterator<Item = &'w Wanted>) -> Vec<NewUnit> {
    let mut all: Vec<NewUnit> = Vec::new();
    for new in wanted.flat_map(Wanted::creates) {
        if !all.contains(new) {
            all.push(new.clone());
        }
    }
    all
}

fn order(id: String, task: NewTask, author: &Author) -> NewJob {
    NewJob {
        id,
        kind: "user",
        caller: author.caller().clone(),
        at: author.at(),
        planned: false,
        version: 0,
        tasks: vec![task],
    }
}

fn new_task(deed: Deed, line: u64, changes: Vec<&'static str>, person: &Person) -> NewTask {
    let wanted = match deed {
        Deed::Create | Deed::Update | Deed::Disable | Deed::Enable => Some(Wanted::new(person)),
        _ => None,
    };
    NewTask {
        person: person.id.clone(),
        deed,
        line,
        changes,
        wanted,
        phase: if deed == Deed::Create {
            Phase::Look
        } else {
            Phase::Save
        },
        object_id: person.object_id.clone(),
    }
}

async fn tell(
    connection: &mut AnyConnection,
    author: &mut Author,
    name: &'static str,
    job: &str,
    detail: &str,
) -> Result<(), StoreError> {
    let told = author.tell(name, job);
    let told = if detail.is_empty() {
        told
    } else {
        told.detail(detail)
    };
    pending::leave(connection, told).await
}
