//! The rules. Each is a pure function from what it remembers of a subject, the next record and
//! its configuration to what it remembers from then on, and perhaps an alert.

pub mod budgets;
pub mod burst;
pub mod changes;
pub mod hours;
pub mod volume;

use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::{RecordKind, UnixMillis};
use serde::{Deserialize, Serialize};

use super::alert::{Alert, RuleName, Severity, Subject};
use super::config::Rules;
use super::sight::Sight;
use crate::ledger::{Calendar, Window};
use burst::{Burst, Limit};
use hours::Told;
use volume::Volume;

/// Most subjects of all rules together that are remembered. Beyond that new ones are not
/// looked at until old ones are forgotten.
pub const MOST_SUBJECTS: usize = 200_000;

/// What a rule remembers of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// How many came in the last minutes.
    Burst(Burst),
    /// How many came on the last days.
    Volume(Volume),
    /// What was told last.
    Told(Told),
}

impl State {
    /// From when on it means nothing any longer.
    #[must_use]
    pub fn expires(&self) -> UnixMillis {
        match self {
            Self::Burst(burst) => burst.expires,
            Self::Volume(volume) => volume.expires,
            Self::Told(told) => told.expires,
        }
    }
}

/// Of which rule, about whom.
pub type Place = (RuleName, Subject);

/// Everything that is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    states: BTreeMap<Place, State>,
    touched: BTreeSet<Place>,
    is_full: bool,
}

impl Memory {
    /// What was remembered before.
    #[must_use]
    pub fn new(states: BTreeMap<Place, State>) -> Self {
        Self {
            states,
            ..Self::default()
        }
    }

    /// What has changed since the last time, to be stored.
    pub fn take_touched(&mut self) -> Vec<(Place, State)> {
        let touched = std::mem::take(&mut self.touched).into_iter();
        touched
            .filter_map(|place| {
                let state = self.states.get(&place)?.clone();
                Some((place, state))
            })
            .collect()
    }

    /// Forgets what means nothing any longer.
    pub fn forget(&mut self, now: UnixMillis) {
        self.states.retain(|_, state| state.expires() > now);
        self.is_full = self.states.len() >= MOST_SUBJECTS;
    }

    /// Whether new subjects are not looked at.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.is_full
    }

    fn get(&self, place: &Place) -> Option<&State> {
        self.states.get(place)
    }

    fn put(&mut self, place: Place, state: State) {
        if self.states.len() >= MOST_SUBJECTS && !self.states.contains_key(&place) {
            self.is_full = true;
            return;
        }
        self.touched.insert(place.clone());
        self.states.insert(place, state);
    }
}

/// The next record.
pub fn see(rules: &Rules, calendar: &Calendar, memory: &mut Memory, sight: &Sight) -> Vec<Alert> {
    let mut alerts = Vec::new();
    refusals(rules, memory, sight, &mut alerts);
    ends(rules, memory, sight, &mut alerts);
    if sight.kind == RecordKind::Admit {
        off_hours(rules, calendar, memory, sight, &mut alerts);
        sudden_volume(rules, calendar, memory, sight, &mut alerts);
    }
    if let Some(watched) = &rules.changes {
        alerts.extend(changes::see(watched, sight));
    }
    alerts
}

fn refusals(rules: &Rules, memory: &mut Memory, sight: &Sight, alerts: &mut Vec<Alert>) {
    let (Some(rule), Some(denial)) = (&rules.refusal_burst, &sight.denial) else {
        return;
    };
    let subjects = [
        ("user", sight.user.as_ref(), rule.user),
        ("key", sight.key.as_ref(), rule.key),
        ("address", sight.address.as_ref(), rule.address),
        ("denial", Some(denial), rule.denial),
    ];
    for (kind, id, count) in subjects {
        let Some(id) = id.filter(|_| count > 0) else {
            continue;
        };
        let limit = Limit {
            count: u64::from(count),
            minutes: u64::from(rule.minutes),
            quiet_minutes: u64::from(rule.quiet_minutes),
        };
        let place = (RuleName::RefusalBurst, Subject::new(kind, id));
        alerts.extend(step_burst(memory, place, limit, Severity::Medium, sight));
    }
}

fn ends(rules: &Rules, memory: &mut Memory, sight: &Sight, alerts: &mut Vec<Alert>) {
    let Some(rule) = rules
        .unknown_closes
        .as_ref()
        .filter(|_| sight.is_unknown_end)
    else {
        return;
    };
    let limit = Limit {
        count: u64::from(rule.calls),
        minutes: u64::from(rule.minutes),
        quiet_minutes: u64::from(rule.quiet_minutes),
    };
    let place = (RuleName::UnknownCloses, Subject::new("gateways", "all"));
    alerts.extend(step_burst(memory, place, limit, Severity::High, sight));
}

fn step_burst(
    memory: &mut Memory,
    place: Place,
    limit: Limit,
    severity: Severity,
    sight: &Sight,
) -> Option<Alert> {
    let burst = match memory.get(&place) {
        Some(State::Burst(burst)) => burst.clone(),
        _ => Burst::default(),
    };
    let (burst, hit) = burst::step(burst, sight.at, limit);
    let (rule, subject) = place.clone();
    let is_person = subject.kind == "user";
    memory.put(place, State::Burst(burst));
    let hit = hit?;
    Some(Alert {
        rule,
        severity,
        subject,
        department: sight.department.clone().filter(|_| is_person),
        window: hit.window,
        at: sight.at,
        count: hit.count,
        against: limit.count,
        detail: None,
        record: Some(sight.record),
    })
}

fn off_hours(
    rules: &Rules,
    calendar: &Calendar,
    memory: &mut Memory,
    sight: &Sight,
    alerts: &mut Vec<Alert>,
) {
    let (Some(rule), Some(user)) = (&rules.off_hours, &sight.user) else {
        return;
    };
    let place = (RuleName::OffHours, Subject::new("user", user));
    let told = match memory.get(&place) {
        Some(State::Told(told)) => told.clone(),
        _ => Told::default(),
    };
    let Some((told, hit)) = hours::step(rule, calendar, told, sight.at) else {
        return;
    };
    let subject = place.1.clone();
    memory.put(place, State::Told(told));
    alerts.extend(hit.map(|hit| Alert {
        rule: RuleName::OffHours,
        severity: Severity::Low,
        subject,
        department: sight.department.clone(),
        window: hit.window,
        at: sight.at,
        count: hit.count,
        against: u64::from(rule.calls),
        detail: Some(hit.local),
        record: Some(sight.record),
    }));
}

fn sudden_volume(
    rules: &Rules,
    calendar: &Calendar,
    memory: &mut Memory,
    sight: &Sight,
    alerts: &mut Vec<Alert>,
) {
    let Some(rule) = &rules.sudden_volume else {
        return;
    };
    let subject = match (&sight.user, &sight.account) {
        (Some(user), _) => Subject::new("user", user),
        (None, Some(account)) => Subject::new("account", account),
        (None, None) => return,
    };
    let place = (RuleName::SuddenVolume, subject.clone());
    let volume = match memory.get(&place) {
        Some(State::Volume(volume)) => volume.clone(),
        _ => Volume::default(),
    };
    let (volume, hits) = volume::step(rule, calendar, volume, sight.at);
    memory.put(place, State::Volume(volume));
    alerts.extend(hits.into_iter().map(|hit| Alert {
        rule: RuleName::SuddenVolume,
        severity: Severity::Medium,
        subject: subject.clone(),
        department: sight.department.clone(),
        window: hit.window,
        at: sight.at,
        count: hit.count,
        against: hit.usual,
        detail: Some(hit.stretch.to_owned()),
        record: Some(sight.record),
    }));
}

/// Something that a rule has found about a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// In which stretch of time.
    pub window: Window,
    /// How many.
    pub count: u64,
}
