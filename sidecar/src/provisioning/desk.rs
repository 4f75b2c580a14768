//! Where people ask for accounts: files are planned, and single people ordered, here.

use std::sync::Arc;
use std::time::Duration;

use sekisho_domain::Policy;
use sqlx::AnyConnection;
use tokio::sync::Notify;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::config::PeopleSettings;
use super::jobs::{self, Deed, NewJob, NewTask, Phase, State, Task, Wanted};
use super::pickup::{self, Found};
use crate::events::Author;
use crate::people::Person;
use crate::people::csv::{self, RowProblem, Rules};
use crate::people::encoding::Encoding;
use crate::people::plan::{self, Action, Identities, Plan, plan};
use crate::people::sealed::{Opener, SealError, is_sealed};
use crate::snapshot::SnapshotHub;
use crate::store::units::{self, NewUnit, Units};
use crate::store::{Store, StoreError, pending, people};

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

/// What is to become of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// It is carried out at once.
    pub apply: bool,
    /// Rows with nothing wrong are taken though others are wrong.
    pub partial: bool,
    /// What becomes of people who are not in the file.
    pub missing: Missing,
}

/// What becomes of people who are not in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// They stay as they are.
    #[default]
    Keep,
    /// They become inactive.
    Disable,
    /// They are deleted.
    Delete,
}

/// A file that was planned.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// Id of the job.
    pub job: String,
    /// What is wrong with rows that were left out.
    pub problems: Vec<RowProblem>,
    /// The encoding of the file.
    pub encoding: Option<Encoding>,
    /// Rows of the file.
    pub total: usize,
    /// What is created with the job.
    pub creates: Vec<NewUnit>,
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

/// Why a job was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum NotConfirmed {
    /// There is none, or it was confirmed or cancelled before.
    #[error("the job is not waiting to be confirmed")]
    NotPlanned,
    /// What is to be created does not fit the policy.
    #[error("departments or titles that the file names cannot be created: {0}")]
    Units(String),
    /// The directory changed since, and the file would change something else now.
    #[error(
        "the directory was changed since the job was planned, so that it would do something else now: upload the file again"
    )]
    Outdated,
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

    /// Reads a file, and plans what it would change; carries it out at once, if that is wished.
    /// `id`: of the job.
    ///
    /// # Errors
    /// [`Refused`]; then nothing is changed.
    pub async fn upload(
        &self,
        file: &[u8],
        wishes: Wishes,
        id: String,
        author: &mut Author,
    ) -> Result<Uploaded, Refused> {
        self.take(file, wishes, id, author, None).await
    }

    /// As [`Self::upload`]. `found`: where the file was; that it is taken is noted with the job.
    pub(super) async fn take(
        &self,
        file: &[u8],
        wishes: Wishes,
        id: String,
        author: &mut Author,
        found: Option<&Found>,
    ) -> Result<Uploaded, Refused> {
        let tenant = self.tenant.as_deref().ok_or(Refused::NoTenant)?;
        let file = self.opened(file)?;
        let creates = self.settings.create_departments || self.settings.create_titles;
        let _turn = match creates {
            true => Some(self.hub.turn().await),
            false => None,
        };
        let rules = Rules {
            known_titles: self.settings.known_titles,
            create_departments: self.settings.create_departments,
            create_titles: self.settings.create_titles,
        };
        let reading = csv::read(&file, &self.hub.policy(), &rules);
        let (total, encoding) = (reading.total, reading.encoding);
        let mut problems = reading.problems;
        if !problems.is_empty() && (!wishes.partial || reading.rows.is_empty()) {
            // What rows have against each other and the directory is said at the same time.
            let everybody = people::changed_after(&self.store, -1).await?;
            problems
                .extend(plan(&everybody, tenant, reading.rows, Identities::WithAccount).problems);
            problems.sort_by_key(|problem| problem.line);
            return Err(Refused::Problems { problems, total });
        }
        let mut transaction = self.store.begin_writing().await?;
        // Takes its turn: nobody changes the directory between plan and job.
        let version = people::next_version(&mut transaction).await?;
        let everybody = people::everybody_in(&mut transaction).await?;
        if let Some(found) = found
            && !pickup::note(&mut transaction, found, (&id, true), "", author).await?
        {
            return Err(Refused::Taken);
        }
        let mut plan = plan(&everybody, tenant, reading.rows, Identities::WithAccount);
        problems.append(&mut plan.problems);
        problems.sort_by_key(|problem| problem.line);
        if !problems.is_empty() && (!wishes.partial || plan.people.is_empty()) {
            return Err(Refused::Problems { problems, total });
        }
        let mut tasks: Vec<NewTask> = Vec::new();
        // Whoever is wrong in the file is in it all the same.
        if problems.is_empty() {
            tasks.extend(left_out(&everybody, &plan, wishes.missing));
        }
        let planned = plan.people.into_iter();
        let mut all: Vec<NewTask> = planned
            .map(|planned| {
                let deed = planned.action.into();
                let mut task = new_task(deed, planned.line, planned.changes, &planned.person);
                if let Some(wanted) = &mut task.wanted {
                    wanted.creates = planned.creates;
                }
                task
            })
            .collect();
        all.append(&mut tasks);
        let job = NewJob {
            id,
            kind: "csv",
            caller: author.caller().clone(),
            at: author.at(),
            planned: !wishes.apply,
            version,
            tasks: all,
        };
        jobs::add(&mut transaction, &job).await?;
        let wanted = job.tasks.iter().filter_map(|task| task.wanted.as_ref());
        let creates = distinct(wanted);
        let mut units = None;
        if wishes.apply {
            units = units::create_in(&mut transaction, version, &creates, author).await?;
            self.check(units.as_ref()).map_err(Refused::Units)?;
        }
        if let (Some(_), false) = (found, problems.is_empty()) {
            pickup::keep_errors(&mut transaction, &job.id, &problems).await?;
        }
        let name = if wishes.apply {
            "provisioning.apply"
        } else {
            "provisioning.plan"
        };
        tell(&mut transaction, author, name, &job.id, &summary(&job)).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        self.put_in_force(units.as_ref());
        self.wake.notify_one();
        Ok(Uploaded {
            job: job.id,
            problems,
            encoding,
            total,
            creates,
        })
    }

    fn opened(&self, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refused> {
        if is_sealed(file) {
            let opener = self.opener.as_ref().ok_or(Refused::NoKey)?;
            return Ok(opener.open(file)?);
        }
        if self.settings.plain_csv {
            Ok(Zeroizing::new(file.to_vec()))
        } else {
            Err(Refused::Plain)
        }
    }

    /// Confirms a job.
    ///
    /// # Errors
    /// [`NotConfirmed`].
    pub async fn confirm(&self, id: &str, author: &mut Author) -> Result<(), NotConfirmed> {
        let job = jobs::job(&self.store, id).await?;
        let job = job.filter(|job| job.state == "planned");
        let job = job.ok_or(NotConfirmed::NotPlanned)?;
        let creates = self.creates(id).await?;
        let _turn = match creates.is_empty() {
            false => Some(self.hub.turn().await),
            true => None,
        };
        let mut transaction = self.store.begin_writing().await?;
        let version = people::next_version(&mut transaction).await?;
        if version != job.version + 1 && self.is_outdated(&mut transaction, id).await? {
            return Err(NotConfirmed::Outdated);
        }
        if !jobs::apply(&mut transaction, id, author.at()).await? {
            return Err(NotConfirmed::NotPlanned);
        }
        let units = units::create_in(&mut transaction, version, &creates, author).await?;
        self.check(units.as_ref()).map_err(NotConfirmed::Units)?;
        tell(&mut transaction, author, "provisioning.apply", id, "").await?;
        transaction.commit().await.map_err(StoreError::from)?;
        self.put_in_force(units.as_ref());
        self.wake.notify_one();
        Ok(())
    }

    /// What a job that is planned creates.
    async fn creates(&self, id: &str) -> Result<Vec<NewUnit>, StoreError> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let tasks = jobs::tasks(&self.store, id, after, 1000).await?;
            let Some(last) = tasks.last() else {
                return Ok(all);
            };
            after = last.number;
            for new in distinct(tasks.iter().filter_map(|task| task.wanted.as_ref())) {
                if !all.contains(&new) {
                    all.push(new);
                }
            }
        }
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

    /// Whether the tasks of a job would do something else now than when they were planned.
    async fn is_outdated(
        &self,
        connection: &mut AnyConnection,
        id: &str,
    ) -> Result<bool, StoreError> {
        let mut after = 0;
        loop {
            let tasks = jobs::tasks(&self.store, id, after, 1000).await?;
            let Some(last) = tasks.last() else {
                return Ok(false);
            };
            after = last.number;
            for task in &tasks {
                let now = people::find_in(connection, task.person.as_str()).await?;
                if !still_so(task, now.as_ref()) {
                    return Ok(true);
                }
            }
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

    /// Orders a new person, as a row of a file says it.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn create(
        &self,
        values: &[(&'static str, String)],
        id: String,
        author: &mut Author,
    ) -> Result<(), Refused> {
        let tenant = self.tenant.as_deref().ok_or(Refused::NoTenant)?;
        let row = self.row(values)?;
        let mut transaction = self.store.begin_writing().await?;
        people::next_version(&mut transaction).await?;
        let everybody = people::everybody_in(&mut transaction).await?;
        let plan = plan(&everybody, tenant, vec![row], Identities::WithAccount);
        let planned = plan.people.into_iter().next();
        let Some(planned) = planned else {
            let problems = plan.problems;
            return Err(Refused::Problems { problems, total: 1 });
        };
        if planned.action != Action::Create {
            return Err(Refused::Known);
        }
        let task = new_task(Deed::Create, 0, Vec::new(), &planned.person);
        let job = order(id, task, author);
        jobs::add(&mut transaction, &job).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        self.wake.notify_one();
        Ok(())
    }

    /// One person's values, checked like a row of a file.
    ///
    /// # Errors
    /// [`Refused::Problems`].
    pub fn row(&self, values: &[(&'static str, String)]) -> Result<csv::Row, Refused> {
        let file = csv::single(values);
        let rules = Rules {
            known_titles: self.settings.known_titles,
            ..Rules::default()
        };
        let reading = csv::read(file.as_bytes(), &self.hub.policy(), &rules);
        let problems = reading.problems;
        let row = reading.rows.into_iter().next();
        row.ok_or(Refused::Problems { problems, total: 1 })
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

/// Tasks for people who are not in the file.
fn left_out(everybody: &[Person], plan: &Plan, missing: Missing) -> Vec<NewTask> {
    let left_out = plan::missing(everybody, plan).into_iter();
    match missing {
        Missing::Keep => Vec::new(),
        Missing::Delete => left_out
            .map(|person| new_task(Deed::Delete, 0, Vec::new(), person))
            .collect(),
        Missing::Disable => left_out
            .filter(|person| person.enabled)
            .map(|person| {
                let person = Person {
                    enabled: false,
                    ..person.clone()
                };
                new_task(Deed::Disable, 0, vec!["status"], &person)
            })
            .collect(),
    }
}

/// Whether a task would do now what it was planned to.
fn still_so(task: &Task, now: Option<&Person>) -> bool {
    match (task.deed, now) {
        (Deed::Create, now) => now.is_none(),
        (Deed::Unchanged, now) => now.is_some(),
        (_, None) => false,
        (Deed::Delete, Some(_)) => true,
        (_, Some(now)) => {
            let Some(wanted) = &task.wanted else {
                return false;
            };
            let after = wanted.person(&task.person, Some(now));
            plan::changes(now, &after).join(" ") == task.changes
        }
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

/// `create 3, update 1`.
fn summary(job: &NewJob) -> String {
    let counted = Deed::ALL.into_iter().filter_map(|deed| {
        let count = job.tasks.iter().filter(|task| task.deed == deed).count();
        (count > 0).then(|| format!("{} {count}", deed.as_str()))
    });
    counted.collect::<Vec<_>>().join(", ")
}
