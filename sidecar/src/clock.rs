//! The one place where the sidecar asks what time it is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use sekisho_domain::UnixMillis;

/// Tells the time; cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixMillis + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the edge that may ask")]
        let now = || {
            let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
            let millis = elapsed.map_or(0, |elapsed| elapsed.as_millis());
            UnixMillis(u64::try_from(millis).unwrap_or(u64::MAX))
        };
        Self(Arc::new(now))
    }

    /// A clock that stands until its hand is moved.
    #[must_use]
    pub fn moved(start: UnixMillis) -> (Self, Hand) {
        let hand = Hand(Arc::new(AtomicU64::new(start.0)));
        let read = hand.clone();
        let clock = Self(Arc::new(move || UnixMillis(read.0.load(Ordering::SeqCst))));
        (clock, hand)
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// Moves the clock that it came with.
#[derive(Clone, Debug)]
pub struct Hand(Arc<AtomicU64>);

impl Hand {
    /// Moves on by `millis`.
    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the time, forwards or back.
    pub fn set(&self, now: UnixMillis) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}
