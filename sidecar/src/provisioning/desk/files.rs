//! Files of people: read, and planned.

use zeroize::Zeroizing;

use super::{Desk, Refused, distinct, new_task, tell};
use crate::events::Author;
use crate::people::Person;
use crate::people::csv::{self, RowProblem, Rules};
use crate::people::encoding::Encoding;
use crate::people::plan::{self, Identities, Plan, plan};
use crate::people::sealed::is_sealed;
use crate::provisioning::jobs::{self, Deed, NewJob, NewTask};
use crate::provisioning::pickup::{self, Found};
use crate::store::units::{self, NewUnit};
use crate::store::{StoreError, people};

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

impl Desk {
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
    pub(in crate::provisioning) async fn take(
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

/// `create 3, update 1`.
fn summary(job: &NewJob) -> String {
    let counted = Deed::ALL.into_iter().filter_map(|deed| {
        let count = job.tasks.iter().filter(|task| task.deed == deed).count();
        (count > 0).then(|| format!("{} {count}", deed.as_str()))
    });
    counted.collect::<Vec<_>>().join(", ")
}
