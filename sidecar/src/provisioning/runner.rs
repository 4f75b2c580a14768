//! Carries out what is to be done, for as long as the sidecar is the active one.
//!
//! A round takes the tasks whose turn it is, orders for each what it needs next, and keeps what
//! came of it. It may be killed between any two instructions: what was kept is what the next round
//! begins with, and every order but a creation can be given again. That a creation is
//! about to be ordered is kept first; one whose answer was not kept is looked for by the company's
//! id and by its name before it is ordered again.

mod saving;
mod telling;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sekisho_domain::UnixMillis;
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::accounts::{Accounts, Order, Outcome};
use super::config::PeopleSettings;
use super::jobs::{self, Deed, Known, MOST, Phase, Task};
use super::next::{self, Facts, Follows, Next};
use super::notices::Notices;
use super::password::Password;
use crate::clock::Clock;
use crate::ledger::Calendar;
use crate::people::Person;
use crate::snapshot::SnapshotHub;
use crate::store::{Store, StoreError, people};
use saving::{Ended, Notified};
use telling::Telling;

/// How often is looked when nobody says that there is something to do.
const PERIOD: Duration = Duration::from_millis(500);

/// A task by its job and number.
type Name = (String, i64);

/// What carries out tasks.
#[derive(Debug)]
pub struct Runner {
    store: Store,
    hub: SnapshotHub,
    calendar: Calendar,
    clock: Clock,
    settings: Arc<PeopleSettings>,
    accounts: Arc<dyn Accounts>,
    notices: Option<Arc<dyn Notices>>,
    /// Notices on their way: mail servers may be slow, and directories do not wait for them.
    telling: Telling,
    /// Passwords that accounts have now and their people do not know yet.
    passwords: HashMap<Name, Password>,
    /// Tasks of which this process knows that no creation is under way.
    ready: HashSet<Name>,
    /// Nothing is ordered before.
    pause: UnixMillis,
}

/// A task whose turn it is, with what is known.
struct Turn {
    task: Task,
    person: Option<Person>,
    known: Option<Known>,
}

impl Runner {
    /// Carries tasks out at these accounts. `notices`: none, if people are not told.
    #[must_use]
    pub fn new(
        store: Store,
        hub: SnapshotHub,
        calendar: Calendar,
        clock: Clock,
        settings: Arc<PeopleSettings>,
        accounts: Arc<dyn Accounts>,
        notices: Option<Arc<dyn Notices>>,
    ) -> Self {
        Self {
            store,
            hub,
            calendar,
            clock,
            settings,
            accounts,
            notices,
            telling: Telling::default(),
            passwords: HashMap::new(),
            ready: HashSet::new(),
            pause: UnixMillis(0),
        }
    }

    /// Carries out what is there and what comes, for ever.
    pub async fn run(mut self, wake: Arc<Notify>) {
        let mut failing = false;
        loop {
            match self.round().await {
                Ok(true) => {
                    failing = false;
                    continue;
                }
                Ok(false) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "people's accounts cannot be brought up to date"
                        );
                    }
                    failing = true;
                }
            }
            let _ = tokio::time::timeout(PERIOD, wake.notified()).await;
        }
    }

    /// Whether there was anything to do.
    ///
    /// # Errors
    /// [`StoreError`]; what was not kept is done again.
    pub async fn round(&mut self) -> Result<bool, StoreError> {
        self.collect_told().await?;
        let now = self.clock.now();
        if now < self.pause {
            return Ok(false);
        }
        let turns = self.turns(now).await?;
        if turns.is_empty() {
            return self.wait_for_told(PERIOD).await;
        }
        let (to_save, rest): (Vec<Turn>, Vec<Turn>) = turns
            .into_iter()
            .partition(|turn| turn.task.phase == Phase::Save);
        if !to_save.is_empty() {
            let tasks = to_save.into_iter().map(|turn| turn.task).collect();
            self.save(tasks, now).await?;
        }
        let mut orders: Vec<(Turn, Order)> = Vec::new();
        let mut ended: Vec<Ended> = Vec::new();
        let mut to_tell: Vec<Turn> = Vec::new();
        for mut turn in rest {
            match self.next(&turn)? {
                Next::Order(order) => orders.push((turn, order)),
                Next::Notify => to_tell.push(turn),
                Next::EndUntold => {
                    next::end(&mut turn.task, next::UNTOLD);
                    ended.push(Ended {
                        task: turn.task,
                        notice: Notified::Untold,
                    });
                }
                Next::End(note) => {
                    let note = if note.is_empty() {
                        turn.task.note.clone()
                    } else {
                        note.to_owned()
                    };
                    next::end(&mut turn.task, &note);
                    ended.push(Ended::new(turn.task));
                }
                Next::Fail(why) => {
                    next::fail(&mut turn.task, why);
                    ended.push(Ended::new(turn.task));
                }
            }
        }
        ended.extend(self.tell(to_tell, now));
        self.keep(&ended, now).await?;
        while !orders.is_empty() && self.clock.now() >= self.pause {
            let most = self.accounts.most_at_once().clamp(1, orders.len());
            let chunk: Vec<(Turn, Order)> = orders.drain(..most).collect();
            self.carry_out(chunk).await?;
        }
        Ok(true)
    }

    /// Tasks whose turn it is. A creation that another process was about to order, or had
    /// ordered, is looked for first.
    async fn turns(&mut self, now: UnixMillis) -> Result<Vec<Turn>, StoreError> {
        let mut connection = self.store.pool().acquire().await?;
        let mut turns = Vec::new();
        // Of whoever is being told, nothing else is the turn.
        let most = MOST.saturating_add(self.telling.len());
        for mut task in jobs::due(&mut connection, now, most).await? {
            let name = (task.job.clone(), task.number);
            if self.telling.has(&name) {
                continue;
            }
            if task.phase == Phase::Create && !self.ready.contains(&name) {
                task.unsure = true;
                task.phase = Phase::Look;
            }
            let person = people::find_in(&mut connection, task.person.as_str()).await?;
            let is_new = matches!(task.phase, Phase::Look | Phase::LookByName | Phase::Create);
            if is_new && person.is_some() {
                // Somebody else has made the person meanwhile.
                task.phase = Phase::Save;
            }
            if let Some(person) = &person
                && task.deed != Deed::Delete
            {
                task.object_id.clone_from(&person.object_id);
            }
            let known = jobs::known(&mut connection, task.person.as_str()).await?;
            turns.push(Turn {
                task,
                person,
                known,
            });
        }
        Ok(turns)
    }

    fn next(&self, turn: &Turn) -> Result<Next, StoreError> {
        let password = self.password()?;
        let facts = self.facts(turn);
        Ok(next::next(&turn.task, &facts, &self.settings, || password))
    }

    fn password(&self) -> Result<Password, StoreError> {
        let mut random = Zeroizing::new([0; 64]);
        getrandom::fill(random.as_mut()).map_err(no_random)?;
        Ok(Password::new(&random))
    }

    fn facts<'t>(&self, turn: &'t Turn) -> Facts<'t> {
        let today = self.calendar.day(self.clock.now());
        let name = (turn.task.job.clone(), turn.task.number);
        let wanted = turn.task.wanted.as_ref();
        let wanted = wanted.map(|wanted| wanted.person(&turn.task.person, None));
        let person = turn.person.as_ref().or(wanted.as_ref());
        Facts {
            spec: person
                .map(|person| next::spec(person, &self.hub.policy(), &self.settings, today)),
            person: turn.person.as_ref(),
            known: turn.known.as_ref(),
            has_mail: self.notices.is_some(),
            has_password: self.passwords.contains_key(&name),
        }
    }

    /// Orders, and keeps what came of it.
    async fn carry_out(&mut self, chunk: Vec<(Turn, Order)>) -> Result<(), StoreError> {
        let (mut turns, orders): (Vec<Turn>, Vec<Order>) = chunk.into_iter().unzip();
        for turn in &turns {
            self.ready
                .remove(&(turn.task.job.clone(), turn.task.number));
        }
        let outcomes = self.accounts.carry_out(&orders).await;
        let now = self.clock.now();
        let missing = std::iter::repeat_with(|| Outcome::Unknown {
            why: "the directory's answer was incomplete".to_owned(),
        });
        let outcomes = outcomes.into_iter().chain(missing);
        let mut follows = Vec::new();
        for ((turn, order), outcome) in turns.iter_mut().zip(&orders).zip(outcomes) {
            let mut task = turn.task.clone();
            let facts = self.facts(turn);
            let random = getrandom::u64().map_err(no_random)?;
            let is_done = matches!(outcome, Outcome::Done(_));
            let follow = next::settle(
                &mut task,
                order,
                outcome,
                &facts,
                &self.settings,
                now,
                random,
            );
            let name = (task.job.clone(), task.number);
            match order {
                Order::Create { password, .. } | Order::SetPassword { password, .. } if is_done => {
                    self.passwords.insert(name.clone(), password.clone());
                }
                _ => {}
            }
            if task.phase == Phase::Create {
                self.ready.insert(name);
            }
            if let Follows::Pause(until) = follow {
                self.pause = self.pause.max(until);
            }
            turn.task = task;
            follows.push(follow);
        }
        self.settled(&turns, &orders, follows, now).await
    }
}

fn no_random(error: getrandom::Error) -> StoreError {
    StoreError::Database(sqlx::Error::Io(std::io::Error::other(error)))
}
