//! Brings the entries of a list to one recipient.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{List, Standing, Standings, Trouble, backoff, cursors};
use crate::clock::Clock;
use crate::store::{Store, StoreError};
use crate::vitals::Beat;

/// How often the list is looked at when there is nothing to bring.
const PERIOD: Duration = Duration::from_secs(1);
/// How long a recipient may take for one delivery.
const PATIENCE: Duration = Duration::from_secs(60);
/// Cursors are saved so often at most, for each save is a commit that the log's own would have
/// to wait for. After a crash so much is brought once more.
const SAVE: Duration = Duration::from_secs(1);

/// Something with a place in a list.
pub(crate) trait Placed: Send + Sync {
    /// Its place.
    fn place(&self) -> u64;
}

/// A list that only grows.
pub(crate) trait Supply: Send + Sync + 'static {
    /// What is in it.
    type Item: Placed;

    /// What stands at the place `from` or after it: in order, as many as come in handy.
    fn from(&self, from: u64) -> impl Future<Output = Result<Vec<Self::Item>, StoreError>> + Send;
}

/// Whoever is brought something.
pub(crate) trait Recipient: Send + 'static {
    /// What.
    type Item: Placed;

    /// Brings the first of `items`, which are never none. Returns how many it has taken for
    /// good; the rest is brought next.
    fn bring(
        &mut self,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<usize, Trouble>> + Send;
}

/// Brings the entries of a list to one recipient.
pub(crate) struct Courier<S, R> {
    store: Store,
    clock: Clock,
    supply: S,
    recipient: R,
    standing: watch::Sender<Standing>,
    saved: u64,
    saved_at: Instant,
    failures: u32,
}

impl<I: Placed, S: Supply<Item = I>, R: Recipient<Item = I>> Courier<S, R> {
    /// Goes on where the cursor `name` is; a new one begins at `first`.
    pub(crate) async fn new(
        store: Store,
        clock: Clock,
        (name, kind, list): (String, &'static str, List),
        first: u64,
        (supply, recipient): (S, R),
        standings: &Standings,
    ) -> Result<Self, StoreError> {
        let next = cursors::begin(&store, &name, first).await?;
        let (standing, watched) = watch::channel(Standing {
            name,
            kind,
            list,
            next,
            beat: Beat::default(),
        });
        standings.add(watched);
        Ok(Self {
            store,
            clock,
            supply,
            recipient,
            standing,
            saved: next,
            saved_at: Instant::now(),
            failures: 0,
        })
    }

    /// Brings what is there and what comes, for ever.
    pub(crate) async fn run(mut self) {
        loop {
            match self.round().await {
                Ok(true) => self.well(),
                Ok(false) => {
                    self.well();
                    tokio::time::sleep(PERIOD).await;
                }
                Err(trouble) => {
                    let rest = self.failed(&trouble);
                    tokio::time::sleep(rest).await;
                }
            }
        }
    }

    /// Whether there was anything to bring.
    async fn round(&mut self) -> Result<bool, Trouble> {
        let next = self.next();
        let items = self.supply.from(next).await?;
        let mut rest = items.as_slice();
        while !rest.is_empty() {
            let bringing = tokio::time::timeout(PATIENCE, self.recipient.bring(rest));
            let taken = bringing.await.unwrap_or(Err(Trouble::Slow))?;
            let (done, left) = rest.split_at(taken.clamp(1, rest.len()));
            if let Some(last) = done.last() {
                self.taken(last.place() + 1);
            }
            rest = left;
            if self.saved_at.elapsed() >= SAVE {
                self.save().await?;
            }
        }
        if items.is_empty() {
            self.save().await?;
        }
        Ok(!items.is_empty())
    }

    fn next(&self) -> u64 {
        self.standing.borrow().next
    }

    fn taken(&mut self, next: u64) {
        let now = self.clock.now();
        self.standing.send_modify(|standing| {
            standing.next = next;
            standing.beat.well(now);
        });
        self.well();
    }

    fn well(&mut self) {
        self.failures = 0;
        self.standing.send_if_modified(|standing| {
            let was_failing = standing.beat.failing.take().is_some();
            if was_failing {
                tracing::info!(to = standing.name, "deliveries are taken again");
            }
            was_failing
        });
    }

    async fn save(&mut self) -> Result<(), StoreError> {
        let next = self.next();
        if next > self.saved {
            let name = self.standing.borrow().name.clone();
            cursors::advance(&self.store, &name, next).await?;
            self.saved = next;
        }
        self.saved_at = Instant::now();
        Ok(())
    }

    /// Notes what is wrong; how long to wait.
    fn failed(&mut self, trouble: &Trouble) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let why = trouble.sentence();
        let now = self.clock.now();
        self.standing.send_modify(|standing| {
            // Once per trouble, not at each try.
            if standing.beat.failed(now, why.clone()) {
                tracing::warn!(to = standing.name, why, "a delivery is not taken");
            }
        });
        let random = getrandom::u64().unwrap_or_default();
        backoff::rest(self.failures, trouble.told(), random)
    }
}
