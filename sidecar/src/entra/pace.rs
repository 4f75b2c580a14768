//! How long Graph is left alone before it is asked again. Pure.

use std::time::Duration;

/// The longest that we let ourselves be told to wait.
const LONGEST_TOLD: Duration = Duration::from_secs(3600);

/// The steps in which an operation is tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The first rest; each is twice as long as the one before.
    pub(super) first: Duration,
    /// None is longer, unless Graph says so.
    pub(super) longest: Duration,
    /// How often something is tried at most.
    pub(super) tries: u32,
    /// Beyond this rest nothing is tried again: whoever waits is told so instead.
    pub(super) patience: Duration,
}

impl Pace {
    /// For work in the background.
    pub(super) const UNHURRIED: Self = Self {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(60),
        tries: 10,
        patience: LONGEST_TOLD,
    };
    /// For somebody who waits for an answer.
    pub(super) const HURRIED: Self = Self {
        first: Duration::from_millis(250),
        longest: Duration::from_secs(2),
        tries: 4,
        patience: Duration::from_secs(5),
    };

    /// How long to rest after so many failures, from 1; up to a quarter more by `random`, so that
    /// many do not come at once. `None`: it is not tried again.
    pub(super) fn rest(
        self,
        failures: u32,
        told: Option<Duration>,
        random: u64,
    ) -> Option<Duration> {
        if failures >= self.tries {
            return None;
        }
        let doubled = 1u32 << failures.saturating_sub(1).min(16);
        let usual = self.first.saturating_mul(doubled).min(self.longest);
        let least = usual.max(told.unwrap_or_default().min(LONGEST_TOLD));
        let spread = u64::try_from(least.as_millis() / 4).unwrap_or(u64::MAX);
        let rest = least + Duration::from_millis(random % spread.max(1));
        (least <= self.patience).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_doubles_heeds_what_it_is_told_and_ends() {
        let pace = Pace::UNHURRIED;
        let seconds = |failures, told: Option<u64>| {
            let told = told.map(Duration::from_secs);
            pace.rest(failures, told, 0).map(|rest| rest.as_secs())
        };
        let usual: Vec<_> = (1..=10).map(|n| seconds(n, None)).collect();
        let told = [1, 2, 4, 8, 16, 32, 60, 60, 60];
        assert_eq!(usual[..9], told.map(Some));
        assert_eq!(usual[9], None);
        assert_eq!(seconds(1, Some(17)), Some(17));
        assert_eq!(seconds(5, Some(7)), Some(16));
        assert_eq!(seconds(1, Some(u64::MAX)), Some(3600));
        assert!(pace.rest(1, None, u64::MAX).unwrap() < Duration::from_millis(1250));
    }

    #[test]
    fn who_waits_is_not_kept_for_longer_than_patience() {
        let pace = Pace::HURRIED;
        assert!(pace.rest(1, Some(Duration::from_secs(5)), 0).is_some());
        assert!(pace.rest(1, Some(Duration::from_secs(6)), 0).is_none());
    }
}
