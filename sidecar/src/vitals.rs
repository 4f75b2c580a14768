//! How whatever the sidecar depends on is: noted by those who use it, so that nobody has to ask it.

use std::sync::{Arc, Mutex, PoisonError};

use sekisho_domain::UnixMillis;
use serde::Serialize;
use utoipa::ToSchema;

use crate::forward::Failing;

/// What the sidecar depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The database.
    Database,
    /// Room for the ends of calls on the disk of the database.
    Disk,
    /// Whoever writes the audit log.
    Log,
    /// The second place of checkpoints.
    Checkpoints,
    /// The archive of the log.
    Archive,
    /// The gateways.
    Link,
    /// An issuer's signing keys.
    Issuer,
    /// Microsoft Graph.
    Graph,
    /// The mail server.
    Mail,
    /// A recipient of records.
    Siem,
    /// The rules that raise alerts.
    Rules,
    /// A recipient of alerts.
    Webhook,
    /// The push services of browsers.
    Push,
    /// The place where files of people are picked up.
    Pickup,
    /// The place of older records.
    Retention,
    /// A report that is sent by itself.
    Report,
}

impl Kind {
    /// Whether no call is let through without it.
    #[must_use]
    pub const fn is_vital(self) -> bool {
        matches!(
            self,
            Self::Database | Self::Disk | Self::Log | Self::Checkpoints
        )
    }
}

/// How something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// When it did last what it was asked for; none: never since the sidecar's start.
    pub last_success: Option<UnixMillis>,
    /// Since when it works without a break; none: it does not, or was never used.
    pub well_since: Option<UnixMillis>,
    /// What is wrong, while something is.
    pub failing: Option<Failing>,
}

impl Beat {
    /// It did what it was asked for; whether it had not before.
    pub fn well(&mut self, now: UnixMillis) -> bool {
        self.last_success = Some(now);
        self.well_since.get_or_insert(now);
        self.failing.take().is_some()
    }

    /// It did not; whether that is for another reason than the last time, or new.
    pub fn failed(&mut self, now: UnixMillis, why: String) -> bool {
        self.well_since = None;
        let before = self.failing.take();
        let is_news = before.as_ref().is_none_or(|before| before.why != why);
        let since = before.map_or(now, |before| before.since);
        self.failing = Some(Failing { since, why });
        is_news
    }
}

/// Where whoever uses something notes how it is; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Mutex<Beat>>);

impl Pulse {
    /// See [`Beat::well`].
    pub fn well(&self, now: UnixMillis) -> bool {
        self.locked(|beat| beat.well(now))
    }

    /// See [`Beat::failed`].
    pub fn failed(&self, now: UnixMillis, why: String) -> bool {
        self.locked(|beat| beat.failed(now, why))
    }

    /// Nobody uses it any longer: nothing is known of it.
    pub fn unused(&self) {
        self.locked(|beat| (beat.well_since, beat.failing) = (None, None));
    }

    /// How it is.
    #[must_use]
    pub fn beat(&self) -> Beat {
        self.locked(|beat| beat.clone())
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Beat) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// All that the sidecar depends on; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Vitals(Arc<Mutex<Vec<(Kind, String, Pulse)>>>);

impl Vitals {
    /// Something more. `name`: which of its kind, for people.
    pub fn add(&self, kind: Kind, name: impl Into<String>, pulse: Pulse) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((kind, name.into(), pulse));
    }

    /// How each is, in the order of kinds.
    #[must_use]
    pub fn all(&self) -> Vec<(Kind, String, Beat)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let beats = all
            .iter()
            .map(|(kind, name, pulse)| (*kind, name.clone(), pulse.beat()));
        let mut beats: Vec<_> = beats.collect();
        beats.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        beats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_tells_since_when_and_when_last() {
        let pulse = Pulse::default();
        assert_eq!(pulse.beat(), Beat::default());
        assert!(!pulse.well(UnixMillis(1)) && !pulse.well(UnixMillis(2)));
        let beat = pulse.beat();
        assert_eq!(
            (beat.well_since, beat.last_success),
            (Some(UnixMillis(1)), Some(UnixMillis(2)))
        );
        assert!(pulse.failed(UnixMillis(3), "gone".to_owned()));
        assert!(!pulse.failed(UnixMillis(4), "gone".to_owned()));
        assert!(pulse.failed(UnixMillis(5), "slow".to_owned()));
        let beat = pulse.beat();
        let failing = beat.failing.unwrap();
        assert_eq!(
            (failing.since, failing.why.as_str()),
            (UnixMillis(3), "slow")
        );
        assert_eq!(
            (beat.well_since, beat.last_success),
            (None, Some(UnixMillis(2)))
        );
        assert!(pulse.well(UnixMillis(6)));
        assert_eq!(pulse.beat().well_since, Some(UnixMillis(6)));
    }
}
