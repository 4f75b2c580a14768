//! How the stand-in misbehaves, when it is told to.

use serde::{Deserialize, Serialize};

/// Chances are in thousandths of the calls. The same seed gives the same faults, as long as the
/// calls come one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// From which the dice are thrown.
    pub seed: u64,
    /// A call, alone or in a batch, is answered 429 and not carried out.
    pub throttled: u16,
    /// A whole batch is answered 429.
    pub throttled_batches: u16,
    /// `Retry-After` of a 429, seconds.
    pub retry_after: u32,
    /// A call is answered 503 and not carried out.
    pub unavailable: u16,
    /// A call is carried out and answered 504.
    pub late: u16,
    /// A connection is closed before anything is carried out.
    pub dropped: u16,
    /// Everything is carried out, and then the connection is closed without an answer.
    pub lost: u16,
    /// An answer is cut off in its middle.
    pub cut: u16,
    /// An answer takes `slow_millis` more.
    pub slow: u16,
    /// See `slow`.
    pub slow_millis: u64,
    /// So long nobody finds a new user, though its name is taken already, milliseconds.
    pub hidden_millis: u64,
    /// A token is refused with 401, from then on.
    pub revoked_tokens: u16,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    Dropped,
    Lost,
    Cut,
    Throttled,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallFate {
    Answered,
    Throttled,
    Unavailable,
    Late,
}

/// Throws the dice.
#[derive(Debug)]
pub(crate) struct Dice(fastrand::Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    pub(crate) fn hits(&mut self, chance: u16) -> bool {
        self.0.u16(0..1000) < chance
    }

    pub(crate) fn request(&mut self, faults: &Faults, is_batch: bool) -> Fate {
        if self.hits(faults.dropped) {
            Fate::Dropped
        } else if self.hits(faults.lost) {
            Fate::Lost
        } else if self.hits(faults.cut) {
            Fate::Cut
        } else if is_batch && self.hits(faults.throttled_batches) {
            Fate::Throttled
        } else {
            Fate::Answered
        }
    }

    pub(crate) fn call(&mut self, faults: &Faults) -> CallFate {
        if self.hits(faults.throttled) {
            CallFate::Throttled
        } else if self.hits(faults.unavailable) {
            CallFate::Unavailable
        } else if self.hits(faults.late) {
            CallFate::Late
        } else {
            CallFate::Answered
        }
    }

    /// A random UUID.
    pub(crate) fn id(&mut self) -> String {
        let random = format!("{:032x}", self.0.u128(..));
        let part = |from: usize, to: usize| random.get(from..to).unwrap_or_default().to_owned();
        format!(
            "{}-{}-4{}-a{}-{}",
            part(0, 8),
            part(8, 12),
            part(13, 16),
            part(17, 20),
            part(20, 32)
        )
    }
}
