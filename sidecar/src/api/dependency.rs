//! What the sidecar depends on, as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::moments::shown;
use crate::forward::{List, Standing};
use crate::vitals::{Beat, Kind};

/// How everything is together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Overall {
    /// Nothing fails.
    Ok,
    /// Something fails; calls are let through and put on record all the same.
    Degraded,
    /// Something fails without which calls are not let through.
    Failing,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum DependencyStatus {
    /// It did what it was asked for last.
    Ok,
    /// It did not.
    Failing,
    /// Nobody has used it since this sidecar's start, or nobody does any longer.
    Idle,
}

/// Something that the sidecar depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Dependency {
    /// What it is.
    kind: Kind,
    /// Which of its kind.
    #[schema(example = "mail.example.com:587")]
    name: String,
    /// How it is.
    status: DependencyStatus,
    /// Whether calls are not let through while it fails.
    vital: bool,
    /// Since when it is so without a break, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-10-14T03:12:45Z")]
    since: Option<String>,
    /// When it did last what it was asked for; absent: never since this sidecar's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-10-14T03:12:45Z")]
    last_success: Option<String>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "it answers 503")]
    why: Option<String>,
}

impl Dependency {
    fn new(kind: Kind, name: String, vital: bool, beat: Beat) -> Self {
        let (failing_since, why) = beat
            .failing
            .map(|failing| (failing.since, failing.why))
            .unzip();
        let status = match (&why, beat.well_since) {
            (Some(_), _) => DependencyStatus::Failing,
            (None, Some(_)) => DependencyStatus::Ok,
            (None, None) => DependencyStatus::Idle,
        };
        Self {
            kind,
            name,
            status,
            vital,
            since: failing_since.or(beat.well_since).map(shown),
            last_success: beat.last_success.map(shown),
            why,
        }
    }
}

impl Overall {
    pub(super) fn of(all: &[Dependency]) -> Self {
        let of = |one: &Dependency| match (one.status, one.vital) {
            (DependencyStatus::Failing, true) => Self::Failing,
            (DependencyStatus::Failing, false) => Self::Degraded,
            _ => Self::Ok,
        };
        all.iter().map(of).max().unwrap_or(Self::Ok)
    }
}

/// All of them, in the order of their kinds. Nothing is asked.
pub(super) fn all(api: &Api) -> Vec<Dependency> {
    let shared = &api.0;
    let keys = shared.hub.counts().issuer_keys;
    let noted = shared.vitals.all().into_iter().map(|(kind, name, beat)| {
        // Whose tokens are checked by its last good keys is not missed for a while.
        let has_keys = keys.get(&name).is_some_and(|keys| *keys > 0);
        let vital = kind.is_vital() || (kind == Kind::Issuer && !has_keys);
        Dependency::new(kind, name, vital, beat)
    });
    let standings = shared.standings.get();
    let standings = standings.map(|all| all.all()).unwrap_or_default();
    let mut all: Vec<_> = noted.chain(standings.into_iter().map(recipient)).collect();
    all.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
    all
}

/// Whoever is brought records or alerts.
fn recipient(standing: Standing) -> Dependency {
    let kind = match (standing.kind, standing.list) {
        ("rules", _) => Kind::Rules,
        (_, List::Log) => Kind::Siem,
        (_, List::Alerts) => Kind::Webhook,
    };
    Dependency::new(kind, standing.name, false, standing.beat)
}
