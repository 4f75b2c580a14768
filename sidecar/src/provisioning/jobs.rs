//! Jobs: what is to be done about people and their accounts, kept in the database until it is done.
//!
//! A job has tasks, one for each person. A task that waits is carried out by the active
//! sidecar, however often it is killed meanwhile: see [`super::runner`]. Of the tasks of one person
//! the oldest is carried out first. What a person is to be is erased when the task ends.

mod reading;
mod tables;

use sekisho_domain::record::Caller;
use sekisho_domain::{UnixMillis, UserId};
use serde::{Deserialize, Serialize};

use crate::people::Person;
use crate::people::plan::Action;
use crate::store::units::NewUnit;
pub use reading::{Counts, Standing, counts, job, latest, list, standing, tasks, waiting_for};
pub(crate) use tables::{DDL, DDL_12, DDL_16};
pub(super) use tables::{Known, MOST, due, end_jobs, known, save_known, save_task};
pub use tables::{add, apply, cancel, retry};

/// What is to be done about a person's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// The person is new: an account is made.
    Create,
    /// What the account says is brought up to date.
    Update,
    /// The account is disabled.
    Disable,
    /// The account is enabled.
    Enable,
    /// Person and account are deleted.
    Delete,
    /// Nothing: the row is as the directory.
    Unchanged,
    /// The person gets a new password by mail.
    ResetPassword,
    /// The account is unlocked.
    Unlock,
    /// The account's sessions are revoked.
    RevokeSessions,
}

impl Deed {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Update,
        Self::Disable,
        Self::Enable,
        Self::Delete,
        Self::Unchanged,
        Self::ResetPassword,
        Self::Unlock,
        Self::RevokeSessions,
    ];

    /// Its name in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Delete => "delete",
            Self::Unchanged => "unchanged",
            Self::ResetPassword => "reset_password",
            Self::Unlock => "unlock",
            Self::RevokeSessions => "revoke_sessions",
        }
    }
}

impl From<Action> for Deed {
    fn from(action: Action) -> Self {
        match action {
            Action::Create => Self::Create,
            Action::Update => Self::Update,
            Action::Disable => Self::Disable,
            Action::Enable => Self::Enable,
            Action::Delete => Self::Delete,
            Action::Unchanged => Self::Unchanged,
        }
    }
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The account is looked for by the company's id.
    Look,
    /// It may have been made: it is looked for by its name as well.
    LookByName,
    /// Its creation has been ordered, or is about to be.
    Create,
    /// The directory is about to be changed.
    Save,
    /// The account is brought up to date.
    Account,
    /// An account that was made for nobody is deleted again.
    Undo,
}

impl Phase {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Look, "look"),
        (Self::LookByName, "look_by_name"),
        (Self::Create, "create"),
        (Self::Save, "save"),
        (Self::Account, "account"),
        (Self::Undo, "undo"),
    ];

    pub(super) fn as_str(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(phase, _)| *phase == self)
            .map_or("", |(_, name)| name)
    }

    fn of(text: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        // A later release's would be looked at anew.
        all.find(|(_, name)| *name == text)
            .map_or(Self::Account, |(phase, _)| phase)
    }
}

/// Whether a task is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The job has not been confirmed.
    Planned,
    /// It is not done yet.
    Waiting,
    /// It is done.
    Done,
    /// It was refused for good; `note` says why.
    Failed,
    /// The job was cancelled before.
    Cancelled,
}

impl State {
    const ALL: [Self; 5] = [
        Self::Planned,
        Self::Waiting,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Its name in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn of(text: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|state| state.as_str() == text)
            .unwrap_or(Self::Failed)
    }
}

/// A job that is to be.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id: sorts by time.
    pub id: String,
    /// Where it comes from: `csv`, `user`, `dates`, `disuse`.
    pub kind: &'static str,
    /// Who wants it.
    pub caller: Caller<'static>,
    /// When.
    pub at: UnixMillis,
    /// Whether it waits to be confirmed.
    pub planned: bool,
    /// The version of the directory that it was planned on.
    pub version: i64,
    /// What is to be done.
    pub tasks: Vec<NewTask>,
}

/// A task that is to be.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// About whom.
    pub person: UserId,
    /// What.
    pub deed: Deed,
    /// The line of the file; 0: none.
    pub line: u64,
    /// Columns that change.
    pub changes: Vec<&'static str>,
    /// As the person is to be, where the directory is yet to be changed.
    pub wanted: Option<Wanted>,
    /// Where it begins.
    pub phase: Phase,
    /// The account, if there is one.
    pub object_id: String,
}

/// What a task makes of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    tenant: String,
    object_id: String,
    name: String,
    email: String,
    department: String,
    job_title: String,
    phone: String,
    start: String,
    end: String,
    enabled: bool,
    /// What is created with the job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) creates: Vec<NewUnit>,
}

impl Wanted {
    /// All that a file or an order says of the person.
    #[must_use]
    pub fn new(person: &Person) -> Self {
        Self {
            tenant: person.tenant.clone(),
            object_id: person.object_id.clone(),
            name: person.name.clone(),
            email: person.email.clone(),
            department: person.department.0.clone(),
            job_title: person.job_title.clone(),
            phone: person.phone.clone(),
            start: person.start.to_string(),
            end: person.end.map(|day| day.to_string()).unwrap_or_default(),
            enabled: person.enabled,
            creates: Vec::new(),
        }
    }

    /// What is created with the job.
    #[must_use]
    pub fn creates(&self) -> &[NewUnit] {
        &self.creates
    }

    /// The person as he or she is to be: what a file does not say stays.
    #[must_use]
    pub fn person(&self, id: &UserId, before: Option<&Person>) -> Person {
        let day = |text: &str| text.parse().ok();
        let object_id = match before {
            Some(before) if self.object_id.is_empty() => before.object_id.clone(),
            _ => self.object_id.clone(),
        };
        Person {
            id: id.clone(),
            tenant: self.tenant.clone(),
            object_id,
            name: self.name.clone(),
            email: self.email.clone(),
            department: self.department.as_str().into(),
            job_title: self.job_title.clone(),
            phone: self.phone.clone(),
            // Written by `new` alone; were it damaged, the person is not active.
            start: day(&self.start).unwrap_or(jiff::civil::Date::MAX),
            end: day(&self.end),
            enabled: self.enabled,
            suspended: before.is_some_and(|before| before.suspended),
            tokens_valid_from: before.map_or(UnixMillis(0), |before| before.tokens_valid_from),
        }
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Where it comes from.
    pub kind: String,
    /// `planned`, `running`, `done` or `cancelled`.
    pub state: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was confirmed.
    pub started_at: Option<UnixMillis>,
    /// When its last task ended.
    pub ended_at: Option<UnixMillis>,
    /// The version of the directory that it was planned on.
    pub version: i64,
}

/// A task.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its job.
    pub job: String,
    /// Its number within the job, from 1.
    pub number: i64,
    /// About whom.
    pub person: UserId,
    /// What.
    pub deed: Deed,
    /// The line of the file; 0: none.
    pub line: u64,
    /// Columns that change.
    pub changes: String,
    /// As the person is to be.
    pub wanted: Option<Wanted>,
    /// Whether it is done.
    pub state: State,
    /// Where it stands.
    pub phase: Phase,
    /// The account, once it is known.
    pub object_id: String,
    /// Whether a creation was ordered of which nobody knows what became.
    pub unsure: bool,
    /// Tries in a row that led nowhere.
    pub attempts: u32,
    /// When it is tried again.
    pub next_at: UnixMillis,
    /// Why it was not done, or what was odd about it.
    pub note: String,
    /// Who wants it.
    pub caller: Caller<'static>,
}
