//! Notices on their way, while other tasks go on.

use std::collections::HashSet;
use std::time::Duration;

use sekisho_domain::UnixMillis;
use tokio::task::{JoinError, JoinSet};

use super::saving::{Ended, Notified};
use super::{Name, Runner, Turn, no_random};
use crate::provisioning::jobs::{Deed, Task};
use crate::provisioning::next;
use crate::provisioning::notices::{NotTaken, Notice};
use crate::store::StoreError;

/// Connections to the mail server.
const MOST_AT_ONCE: usize = 2;
/// How long whoever would need another one waits, milliseconds.
const LATER: u64 = 1000;

/// Tasks, and what came of their notices.
type Told = Vec<(Task, Result<(), NotTaken>)>;

/// Notices on their way; dropped, they are as if the process had ended.
#[derive(Debug, Default)]
pub(super) struct Telling {
    under_way: JoinSet<Told>,
    names: HashSet<Name>,
}

impl Telling {
    /// How many tasks there are whose notice is on its way.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn has(&self, name: &Name) -> bool {
        self.names.contains(name)
    }
}

impl Runner {
    /// Begins to tell people. Answers with those whose turn it is not.
    pub(super) fn tell(&mut self, turns: Vec<Turn>, now: UnixMillis) -> Vec<Ended> {
        let mut ended = Vec::new();
        let mut tasks = Vec::new();
        let mut letters = Vec::new();
        for Turn {
            mut task, person, ..
        } in turns
        {
            let name = (task.job.clone(), task.number);
            if self.telling.under_way.len() >= MOST_AT_ONCE {
                task.next_at = UnixMillis(now.0.saturating_add(LATER));
                ended.push(Ended::new(task));
                continue;
            }
            // The password stays until it is known: the next try says the same one.
            let (Some(person), Some(password)) = (person, self.passwords.get(&name)) else {
                next::fail(&mut task, "the person has left the directory meanwhile");
                ended.push(Ended::new(task));
                continue;
            };
            letters.push(Notice {
                name: format!("{}/{}", task.job, task.number),
                user_name: self.settings.user_name(&person),
                password: password.clone(),
                is_new: task.deed != Deed::ResetPassword,
                person,
            });
            self.telling.names.insert(name);
            tasks.push(task);
        }
        let Some(notices) = self.notices.clone().filter(|_| !tasks.is_empty()) else {
            return ended;
        };
        self.telling.under_way.spawn(async move {
            let outcomes = notices.hand_over(&letters).await;
            tasks.into_iter().zip(outcomes).collect()
        });
        ended
    }

    /// Keeps what came of notices by now.
    pub(super) async fn collect_told(&mut self) -> Result<(), StoreError> {
        while let Some(told) = self.telling.under_way.try_join_next() {
            self.keep_told(told).await?;
        }
        Ok(())
    }

    /// Waits for notices that are on their way, but not longer. Whether there are any.
    pub(super) async fn wait_for_told(&mut self, most: Duration) -> Result<bool, StoreError> {
        if self.telling.under_way.is_empty() {
            return Ok(false);
        }
        let waiting = tokio::time::timeout(most, self.telling.under_way.join_next());
        if let Ok(Some(told)) = waiting.await {
            self.keep_told(told).await?;
        }
        Ok(true)
    }

    async fn keep_told(&mut self, told: Result<Told, JoinError>) -> Result<(), StoreError> {
        let Ok(told) = told else {
            // It was stopped within: what is not kept is done again.
            self.telling.names.clear();
            return Ok(());
        };
        let now = self.clock.now();
        let mut all = Vec::new();
        for (task, outcome) in told {
            self.telling.names.remove(&(task.job.clone(), task.number));
            all.push(self.after(task, outcome, now)?);
        }
        self.keep(&all, now).await
    }

    fn after(
        &mut self,
        mut task: Task,
        outcome: Result<(), NotTaken>,
        now: UnixMillis,
    ) -> Result<Ended, StoreError> {
        let name = (task.job.clone(), task.number);
        let mut notice = Notified::NotYet;
        match outcome {
            Ok(()) => {
                self.passwords.remove(&name);
                next::end(&mut task, "");
                notice = Notified::Told;
            }
            Err(NotTaken::Now { why, wait }) => {
                let random = getrandom::u64().map_err(no_random)?;
                next::again(&mut task, why, now, random);
                let wait = wait.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(0));
                let least = UnixMillis(now.0.saturating_add(wait));
                task.next_at = task.next_at.max(least);
            }
            Err(NotTaken::Ever(why)) => {
                self.passwords.remove(&name);
                next::fail(&mut task, why);
            }
        }
        Ok(Ended { task, notice })
    }
}
