//! Many within few minutes. Counted by whole minutes, so of what came in the oldest of them
//! all is in or out.

use sekisho_domain::UnixMillis;
use serde::{Deserialize, Serialize};

use super::Hit;
use crate::ledger::Window;

const MINUTE: u64 = 60_000;

/// From how many on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many raise an alert.
    pub count: u64,
    /// Within so many minutes.
    pub minutes: u64,
    /// After an alert there is none for so many minutes.
    pub quiet_minutes: u64,
}

/// How many came in the last minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// Minutes since 1970, each with how many came in it; oldest first.
    minutes: Vec<(u64, u64)>,
    /// No alert before this minute.
    quiet_until: u64,
    /// From when on this means nothing any longer.
    pub(super) expires: UnixMillis,
}

/// One more, at `at`.
#[must_use]
pub fn step(mut burst: Burst, at: UnixMillis, limit: Limit) -> (Burst, Option<Hit>) {
    let newest = burst.minutes.last().map_or(0, |(minute, _)| *minute);
    // Gateways' clocks differ by seconds: what comes late counts now.
    let minute = (at.0 / MINUTE).max(newest);
    let first = (minute + 1).saturating_sub(limit.minutes);
    burst.minutes.retain(|(minute, _)| *minute >= first);
    match burst.minutes.last_mut() {
        Some((last, count)) if *last == minute => *count += 1,
        _ => burst.minutes.push((minute, 1)),
    }
    let count: u64 = burst.minutes.iter().map(|(_, count)| count).sum();
    let mut hit = None;
    if count >= limit.count && minute >= burst.quiet_until {
        let start = burst.minutes.first().map_or(minute, |(minute, _)| *minute);
        burst.quiet_until = minute + limit.quiet_minutes.max(1);
        hit = Some(Hit {
            window: Window {
                start: UnixMillis(start * MINUTE),
                end: UnixMillis((minute + 1) * MINUTE),
            },
            count,
        });
    }
    let last = burst.quiet_until.max(minute + limit.minutes);
    burst.expires = UnixMillis((last + 1) * MINUTE);
    (burst, hit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit {
        count: 3,
        minutes: 2,
        quiet_minutes: 10,
    };

    /// When alerts were raised, and with how many, by the seconds at which something came.
    fn raised(seconds: &[u64]) -> Vec<(u64, u64)> {
        let mut burst = Burst::default();
        let mut raised = Vec::new();
        for second in seconds {
            let (next, hit) = step(burst, UnixMillis(second * 1000), LIMIT);
            burst = next;
            raised.extend(hit.map(|hit| (*second, hit.count)));
        }
        raised
    }

    #[test]
    fn enough_within_the_minutes_raise_one_alert_and_then_none_for_a_while() {
        for (seconds, wanted) in [
            (&[0, 1][..], &[][..]),
            (&[0, 1, 2], &[(2, 3)]),
            // The third is in the third minute: the first two are out.
            (&[0, 1, 120], &[]),
            (&[0, 60, 119], &[(119, 3)]),
            (&[0, 1, 2, 3, 4, 5, 59], &[(2, 3)]),
            // Quiet until 10 minutes after.
            (&[0, 1, 2, 500, 501, 502], &[(2, 3)]),
            (&[0, 1, 2, 600, 601, 602], &[(2, 3), (602, 3)]),
            // One that is late counts now.
            (&[120, 121, 60], &[(60, 3)]),
        ] {
            assert_eq!(raised(seconds), wanted, "{seconds:?}");
        }
    }

    #[test]
    fn what_is_remembered_stays_small_and_expires() {
        let mut burst = Burst::default();
        for second in 0..100_000 {
            (burst, _) = step(burst, UnixMillis(second * 1000), LIMIT);
        }
        assert!(burst.minutes.len() <= 2);
        let minute = 99_999 / 60;
        assert!(burst.expires > UnixMillis(minute * MINUTE + 2 * MINUTE));
        assert!(burst.expires <= UnixMillis((minute + 11) * MINUTE));
    }
}
