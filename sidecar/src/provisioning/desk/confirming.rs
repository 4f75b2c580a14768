//! Jobs that wait to be confirmed.

use sqlx::AnyConnection;

use super::{Desk, distinct, tell};
use crate::events::Author;
use crate::people::Person;
use crate::people::plan;
use crate::provisioning::jobs::{self, Deed, Task};
use crate::store::units::{self, NewUnit};
use crate::store::{StoreError, people};

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
