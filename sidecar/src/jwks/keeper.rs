//! Whoever keeps one issuer's key set up to date.

use std::time::Duration;

use sekisho_domain::IssuerKey;
use sekisho_domain::policy::Issuer;
use sekisho_link::directory::key_set;
use tokio::sync::{mpsc, oneshot};
use url::Url;

use super::fetch::Client;
use super::schedule::{Demand, Schedule};
use super::set::{self, LeftOut};
use super::{JwksError, Looked, has};
use crate::clock::Clock;
use crate::snapshot::SnapshotHub;
use crate::store::{Store, issuer_keys};
use crate::vitals::Pulse;

/// How long the clock is not looked at.
const LONGEST_SLEEP_MILLIS: u64 = 200;

/// A token named a key.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) kid: String,
    pub(super) answer: oneshot::Sender<Looked>,
}

/// One issuer's key set.
pub(super) struct Keeper {
    issuer: Issuer,
    uri: Url,
    client: Client,
    store: Store,
    hub: SnapshotHub,
    clock: Clock,
    schedule: Schedule,
    /// What was fetched last.
    keys: Vec<IssuerKey>,
    left_out: Vec<LeftOut>,
    /// `keys` are not in the database yet.
    unsaved: bool,
    pulse: Pulse,
}

impl Keeper {
    /// Pushes what is stored.
    pub(super) fn new(
        (issuer, uri): (Issuer, Url),
        client: Client,
        store: Store,
        hub: SnapshotHub,
        clock: Clock,
        stored: Vec<IssuerKey>,
    ) -> Self {
        let keeper = Self {
            schedule: Schedule::new(clock.now()),
            issuer,
            uri,
            client,
            store,
            hub,
            clock,
            keys: stored,
            left_out: Vec::new(),
            unsaved: false,
            pulse: Pulse::default(),
        };
        if !keeper.keys.is_empty() {
            keeper.push();
        }
        keeper
    }

    /// How the issuer is.
    pub(super) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Fetches when it is time to, and when somebody needs it; until nobody can ask.
    pub(super) async fn run(mut self, mut questions: mpsc::Receiver<Question>) {
        loop {
            let question = tokio::select! {
                // A fetch that is due may answer the question.
                biased;
                () = self.due() => None,
                question = questions.recv() => match question {
                    Some(question) => Some(question),
                    None => return,
                },
            };
            let Some(question) = question else {
                self.fetch().await;
                continue;
            };
            let known = has(&self.keys, &question.kid);
            if !known && self.schedule.demand(self.clock.now()) == Demand::Fetch {
                self.fetch().await;
            }
            let quiet_millis = match self.schedule.quiet(self.clock.now()) {
                Demand::Fetch => 0,
                Demand::Quiet(millis) => millis,
            };
            // Who does not wait any longer needs no answer.
            let _ = question.answer.send(Looked { quiet_millis });
        }
    }

    /// Returns when a fetch is due, by a clock that may be moved.
    async fn due(&self) {
        loop {
            match self.schedule.wait(self.clock.now()) {
                0 => return,
                wait => {
                    let sleep = Duration::from_millis(wait.min(LONGEST_SLEEP_MILLIS));
                    tokio::time::sleep(sleep).await;
                }
            }
        }
    }

    async fn fetch(&mut self) {
        // From its beginning: what changes while it is under way is seen in time.
        let now = self.clock.now();
        let taken = self.take().await;
        let random = random();
        let Err(error) = taken else {
            self.schedule.fetched(now, random);
            self.pulse.well(now);
            return;
        };
        self.schedule.failed(now, !self.keys.is_empty(), random);
        // Once per outage, not at each try.
        if self.pulse.failed(now, error.to_string()) {
            tracing::warn!(
                issuer = self.issuer.issuer,
                error = &error as &dyn std::error::Error,
                keys = self.keys.len(),
                "no new signing keys; the last good ones stay"
            );
        }
    }

    /// Fetches, pushes and stores.
    async fn take(&mut self) -> Result<(), JwksError> {
        let body = self.client.get(&self.uri).await?;
        let set = set::read(&self.issuer.issuer, &body)?;
        let news = set.keys != self.keys;
        let issuer = &self.issuer.issuer;
        if news || self.pulse.beat().failing.is_some() {
            let keys = set.keys.len();
            tracing::info!(issuer, keys, "signing keys fetched");
        }
        if set.left_out != self.left_out {
            for LeftOut { at, kid, why } in &set.left_out {
                tracing::warn!(issuer, at, kid, %why, "a key of the issuer's set is left out");
            }
            self.left_out = set.left_out;
        }
        if news {
            self.keys = set.keys;
            self.unsaved = true;
            // Before they are stored: they are good, whatever the database says.
            self.push();
        }
        if self.unsaved {
            issuer_keys::replace(&self.store, &self.issuer.issuer, &self.keys).await?;
            self.unsaved = false;
        }
        Ok(())
    }

    /// Keys that stand in the policy itself stay valid beside the fetched ones.
    fn push(&self) {
        let mut keys = self.keys.clone();
        for key in &self.issuer.keys {
            if !has(&keys, &key.kid) {
                keys.push(key.clone());
            }
        }
        let set = key_set(&self.issuer.issuer, &keys);
        self.hub.set_issuer_keys(set);
    }
}

fn random() -> u64 {
    // Without randomness all installations come at the full hour: no reason to stop.
    getrandom::u64().unwrap_or_default()
}
