//! The one place that asks what time it is.

use std::time::{Duration, Instant};

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time; everything else here takes it from this function"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Sleeps until `moment`; returns at once when that has passed.
pub(crate) fn sleep_until(moment: Instant) {
    let left = moment.saturating_duration_since(now());
    if left > Duration::ZERO {
        std::thread::sleep(left);
    }
}
