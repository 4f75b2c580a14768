//! When a key set is fetched. Pure.

use sekisho_domain::UnixMillis;

const MINUTE: u64 = 60_000;
/// The longest time between two fetches while all is well: a removed key is gone by then.
const PERIOD: u64 = 60 * MINUTE;
/// How soon after the first failure, while keys are known; twice as long after each other.
const RETRY: u64 = MINUTE;
/// The longest time after failures, while keys are known.
const LONGEST_RETRY: u64 = 15 * MINUTE;
/// How soon after the first failure, while none is known: nobody can call then.
const RETRY_WITHOUT_KEYS: u64 = 2_000;
/// The longest time after failures, while none is known.
const LONGEST_RETRY_WITHOUT_KEYS: u64 = MINUTE;

/// How often unknown keys in tokens may cause a fetch, milliseconds.
pub const DEMANDED_AT_MOST_MILLIS: u64 = 5 * MINUTE;

/// When the next fetch is due, and whether one may be demanded.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    due: UnixMillis,
    demanded: Option<UnixMillis>,
    failures: u32,
}

/// What follows from a demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Fetch now.
    Fetch,
    /// Not for so many milliseconds.
    Quiet(u64),
}

impl Schedule {
    /// The first fetch is due at once.
    pub(super) const fn new(now: UnixMillis) -> Self {
        Self {
            due: now,
            demanded: None,
            failures: 0,
        }
    }

    /// How long to wait for the next fetch, milliseconds; 0: it is due.
    pub(super) fn wait(&self, now: UnixMillis) -> u64 {
        let wait = self.due.since(now);
        // The clock was set back: nothing is ever due so late.
        if wait > PERIOD { 0 } else { wait }
    }

    /// An unknown key was named.
    pub(super) fn demand(&mut self, now: UnixMillis) -> Demand {
        let demand = self.quiet(now);
        if demand == Demand::Fetch {
            self.demanded = Some(now);
        }
        demand
    }

    /// What would follow from a demand.
    pub(super) fn quiet(&self, now: UnixMillis) -> Demand {
        match self.demanded {
            // A demand in the future: the clock was set back.
            Some(last) if last <= now && now.since(last) < DEMANDED_AT_MOST_MILLIS => {
                Demand::Quiet(DEMANDED_AT_MOST_MILLIS - now.since(last))
            }
            _ => Demand::Fetch,
        }
    }

    /// A fetch has succeeded. `random`: any number, so that many installations do not all
    /// come at once.
    pub(super) fn fetched(&mut self, now: UnixMillis, random: u64) {
        self.failures = 0;
        self.due = now.plus_millis(earlier(PERIOD, random));
    }

    /// A fetch has failed.
    pub(super) fn failed(&mut self, now: UnixMillis, has_keys: bool, random: u64) {
        let (first, longest) = if has_keys {
            (RETRY, LONGEST_RETRY)
        } else {
            (RETRY_WITHOUT_KEYS, LONGEST_RETRY_WITHOUT_KEYS)
        };
        let doubled = first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.due = now.plus_millis(earlier(doubled.min(longest), random));
    }
}

/// Up to a tenth earlier.
const fn earlier(millis: u64, random: u64) -> u64 {
    millis - random % (millis / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_424_400_000);

    fn after(millis: u64) -> UnixMillis {
        NOW.plus_millis(millis)
    }

    #[test]
    fn a_set_is_fetched_every_hour_or_a_little_sooner() {
        let mut schedule = Schedule::new(NOW);
        assert_eq!(schedule.wait(NOW), 0);
        for random in [0, 7, 359_999, 360_000, u64::MAX] {
            schedule.fetched(NOW, random);
            assert!((54 * MINUTE..=PERIOD).contains(&schedule.wait(NOW)));
        }
        schedule.fetched(NOW, 7);
        assert_eq!(schedule.wait(after(PERIOD - 8)), 1);
        assert_eq!(schedule.wait(after(PERIOD - 7)), 0);
    }

    #[test]
    fn an_unknown_key_causes_a_fetch_at_once_but_one_in_five_minutes() {
        let mut schedule = Schedule::new(NOW);
        schedule.fetched(NOW, 0);
        // The fetch at the start does not count: keys may change right after it.
        assert_eq!(schedule.demand(after(1)), Demand::Fetch);
        for millis in [1, 2, 1_000, DEMANDED_AT_MOST_MILLIS] {
            let left = DEMANDED_AT_MOST_MILLIS + 1 - millis;
            assert_eq!(schedule.demand(after(millis)), Demand::Quiet(left));
        }
        let over = after(DEMANDED_AT_MOST_MILLIS + 1);
        assert_eq!(schedule.demand(over), Demand::Fetch);
        assert_ne!(schedule.demand(over), Demand::Fetch);
    }

    #[test]
    fn failures_are_retried_ever_more_slowly_and_sooner_while_nobody_can_call() {
        let waits = |has_keys: bool| {
            let mut schedule = Schedule::new(NOW);
            let mut next = || {
                schedule.failed(NOW, has_keys, 0);
                schedule.wait(NOW) / 1_000
            };
            [next(), next(), next(), next(), next(), next()]
        };
        assert_eq!(waits(true), [60, 120, 240, 480, 900, 900]);
        assert_eq!(waits(false), [2, 4, 8, 16, 32, 60]);
        let mut schedule = Schedule::new(NOW);
        for _ in 0..200 {
            schedule.failed(NOW, true, 3);
        }
        schedule.fetched(NOW, 0);
        schedule.failed(NOW, true, 0);
        assert_eq!(schedule.wait(NOW), RETRY);
    }

    #[test]
    fn a_clock_that_is_set_back_delays_nothing() {
        let mut schedule = Schedule::new(NOW);
        schedule.fetched(NOW, 0);
        assert_eq!(schedule.demand(NOW), Demand::Fetch);
        let before = UnixMillis(NOW.0 - 86_400_000);
        assert_eq!(schedule.wait(before), 0);
        assert_eq!(schedule.demand(before), Demand::Fetch);
    }
}
