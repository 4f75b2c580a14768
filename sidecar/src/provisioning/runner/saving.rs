//! What a round keeps: tasks, people and their events in one transaction.

use sekisho_domain::UnixMillis;
use sqlx::AnyConnection;

use super::{Runner, Turn, no_random};
use crate::events::Author;
use crate::provisioning::accounts::{ObjectId, Order};
use crate::provisioning::jobs::{self, Deed, Known, Phase, State, Task};
use crate::provisioning::next::{self, Follows};
use crate::store::{StoreError, pending, people};

/// A task that needs no order any more, or has to wait.
pub(super) struct Ended {
    pub(super) task: Task,
    pub(super) notice: Notified,
}

/// Whether the person knows of the account.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Notified {
    /// By what happened here as little as before.
    NotYet,
    /// A notice was handed over.
    Told,
    /// No, and nobody is going to say so.
    Untold,
}

impl Ended {
    pub(super) const fn new(task: Task) -> Self {
        Self {
            task,
            notice: Notified::NotYet,
        }
    }
}

const CONFLICT: &str = "another person has the e-mail address or the account already";

impl Runner {
    /// Keeps how these tasks stand.
    pub(super) async fn keep(&self, all: &[Ended], now: UnixMillis) -> Result<(), StoreError> {
        if all.is_empty() {
            return Ok(());
        }
        let mut transaction = self.store.begin_writing().await?;
        for Ended { task, notice } in all {
            if *notice != Notified::NotYet {
                notified(&mut transaction, task).await?;
            }
            if *notice == Notified::Told {
                let mut author = author(task, now)?;
                let told = author.tell("account.notify", task.person.as_str());
                let told = told.detail(&format!("job {}", task.job));
                pending::leave(&mut transaction, told).await?;
            }
            jobs::save_task(&mut transaction, task).await?;
        }
        jobs::end_jobs(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Changes the directory as the tasks say; their accounts are next.
    pub(super) async fn save(&self, tasks: Vec<Task>, now: UnixMillis) -> Result<(), StoreError> {
        let mut transaction = self.store.begin_writing().await?;
        let version = people::next_version(&mut transaction).await?;
        for mut task in tasks {
            save_one(&mut transaction, version, &mut task, now).await?;
            jobs::save_task(&mut transaction, &task).await?;
        }
        jobs::end_jobs(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Keeps what came of orders.
    pub(super) async fn settled(
        &self,
        turns: &[Turn],
        orders: &[Order],
        follows: Vec<Follows>,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut transaction = self.store.begin_writing().await?;
        let brings = |follow: &Follows| matches!(follow, Follows::Account { .. });
        let version = if follows.iter().any(brings) {
            people::next_version(&mut transaction).await?
        } else {
            0
        };
        for ((turn, order), follow) in turns.iter().zip(orders).zip(follows) {
            let mut task = turn.task.clone();
            match follow {
                Follows::Account { id, known } => {
                    let made = (id, known);
                    add(&mut transaction, version, &mut task, made, now).await?;
                }
                Follows::Known(known) => {
                    jobs::save_known(&mut transaction, &task.person, Some(&known)).await?;
                    tell(&mut transaction, &task, order, now).await?;
                }
                Follows::OnRecord => tell(&mut transaction, &task, order, now).await?,
                Follows::Nothing | Follows::Pause(_) => {
                    if task.state == State::Done {
                        tell(&mut transaction, &task, order, now).await?;
                    }
                }
            }
            jobs::save_task(&mut transaction, &task).await?;
        }
        jobs::end_jobs(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// The person needs no notice of the account any more.
async fn notified(connection: &mut AnyConnection, task: &Task) -> Result<(), StoreError> {
    let Some(known) = jobs::known(connection, task.person.as_str()).await? else {
        return Ok(());
    };
    let known = Known {
        notified: true,
        ..known
    };
    jobs::save_known(connection, &task.person, Some(&known)).await
}

/// The person is new and has an account from now on.
async fn add(
    connection: &mut AnyConnection,
    version: i64,
    task: &mut Task,
    (id, known): (ObjectId, Known),
    now: UnixMillis,
) -> Result<(), StoreError> {
    let Some(wanted) = &task.wanted else {
        next::fail(task, "the job no longer knows what the person was to be");
        return Ok(());
    };
    let mut person = wanted.person(&task.person, None);
    person.object_id.clone_from(&id.0);
    task.object_id = id.0;
    if people::owner_in(connection, &person).await?.is_some() {
        if known.ours {
            task.phase = Phase::Undo;
            task.note = CONFLICT.to_owned();
        } else {
            next::fail(task, CONFLICT);
        }
        return Ok(());
    }
    let mut author = author(task, now)?;
    let event = (&mut author, "user.create");
    people::save_in(connection, version, event, None, &person).await?;
    jobs::save_known(connection, &task.person, Some(&known)).await?;
    task.phase = Phase::Account;
    task.unsure = false;
    Ok(())
}

async fn save_one(
    connection: &mut AnyConnection,
    version: i64,
    task: &mut Task,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let mut author = author(task, now)?;
    let before = people::find_in(connection, task.person.as_str()).await?;
    let Some(before) = before else {
        if task.deed == Deed::Delete {
            next::end(task, "the person had left the directory already");
        } else {
            next::fail(task, "the person has left the directory meanwhile");
        }
        return Ok(());
    };
    task.object_id.clone_from(&before.object_id);
    task.phase = Phase::Account;
    if task.deed == Deed::Delete {
        people::remove_in(connection, version, &mut author, &before).await?;
        return jobs::save_known(connection, &task.person, None).await;
    }
    let Some(wanted) = &task.wanted else {
        next::fail(task, "the job no longer knows what the person was to be");
        return Ok(());
    };
    let after = wanted.person(&task.person, Some(&before));
    if people::owner_in(connection, &after).await?.is_some() {
        next::fail(task, CONFLICT);
        return Ok(());
    }
    if before != after {
        let event = (&mut author, "user.update");
        people::save_in(connection, version, event, Some(&before), &after).await?;
    }
    task.object_id.clone_from(&after.object_id);
    if jobs::known(connection, task.person.as_str())
        .await?
        .is_none()
    {
        let known = Known {
            notified: true,
            ..Known::default()
        };
        jobs::save_known(connection, &task.person, Some(&known)).await?;
    }
    Ok(())
}

/// Puts on record what was done to an account.
async fn tell(
    connection: &mut AnyConnection,
    task: &Task,
    order: &Order,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let event = match order {
        Order::Enable(_) => "account.enable",
        Order::Disable(_) => "account.disable",
        Order::Update { .. } => "account.update",
        Order::Place { .. } => "account.place",
        Order::Delete(_) => "account.delete",
        Order::Unlock(_) => "account.unlock",
        Order::RevokeSessions(_) => "account.revoke_sessions",
        Order::SetPassword { .. } => "account.set_password",
        Order::Find(_) | Order::Create { .. } => return Ok(()),
    };
    let mut author = author(task, now)?;
    let told = author.tell(event, task.person.as_str());
    pending::leave(connection, told.detail(&format!("job {}", task.job))).await
}

fn author(task: &Task, now: UnixMillis) -> Result<Author, StoreError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(no_random)?;
    Ok(Author::new(task.caller.clone(), now, seed))
}
