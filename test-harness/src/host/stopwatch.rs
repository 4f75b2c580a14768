//! The time that a VM takes.

use std::time::{Duration, Instant};

/// Runs while a VM does, and stands while it has called the host.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    began: Option<Instant>,
    taken: Duration,
}

impl Stopwatch {
    /// The VM is entered or returned to.
    pub(crate) fn start(&mut self) {
        self.began = Some(now());
    }

    /// The VM is left.
    pub(crate) fn stop(&mut self) {
        if let Some(began) = self.began.take() {
            self.taken += began.elapsed();
        }
    }

    /// All that was taken so far, nanoseconds.
    pub(crate) fn nanos(&self) -> u64 {
        u64::try_from(self.taken.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what a machine takes is told by its clock alone; nothing in the host depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_a_start_and_a_stop_is_taken() {
        let mut watch = Stopwatch::default();
        watch.stop();
        assert_eq!(watch.nanos(), 0);
        watch.start();
        while now().elapsed().is_zero() {}
        watch.stop();
        let once = watch.nanos();
        assert!(once > 0);
        watch.stop();
        assert_eq!(watch.nanos(), once);
    }
}
