//! The one place that asks what time it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sekisho_domain::UnixMillis;

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time; everything else here takes it from this function"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// What records say when they were made.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time; everything else here takes it from this function"
)]
pub(crate) fn unix() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixMillis(since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }))
}

/// Sleeps until `moment`; returns at once when that has passed.
pub(crate) fn sleep_until(moment: Instant) {
    let left = moment.saturating_duration_since(now());
    if left > Duration::ZERO {
        std::thread::sleep(left);
    }
}
