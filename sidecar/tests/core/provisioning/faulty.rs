//! A directory and a mail server that fail as they are told.

use std::collections::HashMap;
use std::sync::Mutex;

use sekisho::provisioning::accounts::{Accounts, Carrying, Order, Outcome};
use sekisho::provisioning::notices::{HandingOver, NotTaken, Notice};
use sekisho::provisioning::{Embedded, Notices};
use sekisho_domain::UnixMillis;
use tokio::sync::watch;

/// Orders one after the other, so that a stop can be at any of them.
#[derive(Debug)]
pub(super) struct Faulty {
    inner: Embedded,
    faults: std::sync::Arc<Faults>,
}

#[derive(Debug, Default)]
struct Inner {
    orders: usize,
    injected: usize,
    random: Option<u64>,
    throttle: Option<UnixMillis>,
    is_down: bool,
    /// By object id or, at a creation, user name: every password that was set.
    passwords: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct Faults {
    inner: Mutex<Inner>,
    /// At which order nothing is answered any more, and whether it is carried out before.
    stop: Option<(usize, bool)>,
    stopped: watch::Sender<bool>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            stop: None,
            stopped: watch::channel(false).0,
        }
    }
}

impl Faults {
    pub(super) fn stop_at(order: usize, carried_out: bool) -> Self {
        Self {
            stop: Some((order, carried_out)),
            ..Self::default()
        }
    }

    pub(super) fn random(seed: u64) -> Self {
        let faults = Self::default();
        faults.inner.lock().unwrap().random = Some(seed);
        faults
    }

    pub(super) fn throttle_once(now: UnixMillis, millis: u64) -> Self {
        let faults = Self::default();
        faults.inner.lock().unwrap().throttle = Some(UnixMillis(now.0 + millis));
        faults
    }

    pub(super) fn be_down(&self, is_down: bool) {
        self.inner.lock().unwrap().is_down = is_down;
    }

    pub(super) fn orders(&self) -> usize {
        self.inner.lock().unwrap().orders
    }

    pub(super) fn injected(&self) -> usize {
        self.inner.lock().unwrap().injected
    }

    pub(super) fn passwords(&self) -> Vec<(String, String)> {
        self.inner.lock().unwrap().passwords.clone()
    }

    pub(super) async fn stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        stopped.wait_for(|stopped| *stopped).await.unwrap();
    }

    /// What is answered instead, and whether the order is carried out all the same.
    fn next(&self) -> Option<(Outcome, bool)> {
        let mut inner = self.inner.lock().unwrap();
        inner.orders += 1;
        if let Some(until) = inner.throttle.take() {
            return Some((Outcome::Throttled { until }, false));
        }
        if inner.is_down {
            let why = "503".to_owned();
            return Some((Outcome::Again { why }, false));
        }
        let random = inner.random?;
        // Numerical Recipes' generator: good enough for faults.
        let random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        inner.random = Some(random);
        let fault = match (random >> 16) % 6 {
            0 => (
                Outcome::Again {
                    why: "503".to_owned(),
                },
                false,
            ),
            1 => (
                Outcome::Unknown {
                    why: "no answer".to_owned(),
                },
                false,
            ),
            2 => (
                Outcome::Unknown {
                    why: "no answer".to_owned(),
                },
                true,
            ),
            _ => return None,
        };
        inner.injected += 1;
        Some(fault)
    }

    fn password(&self, order: &Order) {
        let set = match order {
            Order::Create { spec, password } => (spec.user_name.0.clone(), password),
            Order::SetPassword { id, password } => (id.0.clone(), password),
            _ => return,
        };
        let set = (set.0, set.1.reveal().to_owned());
        self.inner.lock().unwrap().passwords.push(set);
    }
}

impl Faulty {
    pub(super) fn new(inner: Embedded, faults: std::sync::Arc<Faults>) -> Self {
        Self { inner, faults }
    }

    async fn one(&self, order: &Order) -> Outcome {
        let at = self.faults.orders();
        let carry_out = async || {
            let outcomes = self.inner.carry_out(std::slice::from_ref(order)).await;
            self.faults.password(order);
            outcomes.into_iter().next().unwrap()
        };
        if let Some((stop, carried_out)) = self.faults.stop
            && stop == at
        {
            if carried_out {
                carry_out().await;
            }
            self.faults.stopped.send_replace(true);
            std::future::pending::<()>().await;
        }
        match self.faults.next() {
            None => carry_out().await,
            Some((outcome, false)) => outcome,
            Some((outcome, true)) => {
                carry_out().await;
                outcome
            }
        }
    }
}

impl Accounts for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn most_at_once(&self) -> usize {
        3
    }

    fn carry_out<'a>(&'a self, orders: &'a [Order]) -> Carrying<'a> {
        Box::pin(async move {
            let mut outcomes = Vec::new();
            for order in orders {
                outcomes.push(self.one(order).await);
            }
            outcomes
        })
    }
}

/// A mail server that remembers.
#[derive(Debug, Default)]
pub(super) struct Post {
    told: Mutex<Vec<(String, String)>>,
    owners: Mutex<HashMap<String, [String; 2]>>,
    failing: Mutex<usize>,
}

impl Post {
    pub(super) fn failing(times: usize) -> Self {
        Self {
            failing: Mutex::new(times),
            ..Self::default()
        }
    }

    /// Who was told which password.
    pub(super) fn told(&self) -> Vec<(String, String)> {
        self.told.lock().unwrap().clone()
    }

    /// Of the passwords that were set while `faults` looked on, or later, the last one that a
    /// person was told is the one that was set last.
    #[track_caller]
    pub(super) fn whoever_was_told_knows_the_last_password(&self, faults: &Faults) {
        let owners = self.owners.lock().unwrap();
        let last: HashMap<String, String> = self.told().into_iter().collect();
        for (person, told) in last {
            let names = &owners[&person];
            let set = faults.passwords();
            let set = set.iter().rev().find(|(name, _)| names.contains(name));
            // After a stop another directory looks on; a password of before must not be the one.
            if faults.stop.is_none() {
                assert_eq!(set.map(|(_, set)| set), Some(&told), "{person}");
            }
        }
    }
}

impl Notices for Post {
    fn hand_over<'a>(&'a self, notices: &'a [Notice]) -> HandingOver<'a> {
        Box::pin(async move { notices.iter().map(|notice| self.take(notice)).collect() })
    }
}

impl Post {
    fn take(&self, notice: &Notice) -> Result<(), NotTaken> {
        let mut failing = self.failing.lock().unwrap();
        if *failing > 0 {
            *failing -= 1;
            return Err(NotTaken::Now {
                why: "451".to_owned(),
                wait: None,
            });
        }
        let person = notice.person.id.0.clone();
        let names = [notice.person.object_id.clone(), notice.user_name.0.clone()];
        self.owners.lock().unwrap().insert(person.clone(), names);
        let password = notice.password.reveal().to_owned();
        self.told.lock().unwrap().push((person, password));
        Ok(())
    }
}
