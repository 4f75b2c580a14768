//! The policy file as the ground of settings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sekisho_domain::Problem;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::live::InForce;
use super::locks::{self, covers};
use super::values::SettingsValues;
use crate::alerts::config::RawAlertRules;
use crate::provisioning::notices::Delivery;
use crate::{alerts, entra, mail, provisioning};

/// Most days that anything can be kept: a hundred years.
const MOST_DAYS: u64 = 36_500;

/// The sections of the file of which something can be set.
const SECTIONS: [&str; 5] = ["alerts", "audit", "entra", "mail", "people"];

/// Who says what a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Whoever set it.
    Settings,
    /// The policy file.
    File,
    /// Nobody: it is as the release has it.
    Default,
}

/// Settings as they are in force, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Every setting that applies.
    pub effective: SettingsValues,
    /// By the name of the setting.
    pub origins: BTreeMap<String, Origin>,
}

/// What the policy file says of what can be set.
#[derive(Clone, Debug)]
pub struct Ground {
    file: Value,
    locked: Vec<String>,
}

impl Default for Ground {
    fn default() -> Self {
        Self::new(&json!({}))
    }
}

impl Ground {
    /// `file`: the whole policy file.
    #[must_use]
    pub fn new(file: &Value) -> Self {
        let section = |name: &str| file.get(name).filter(|section| !section.is_null());
        let taken = SECTIONS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), section(name)?.clone())));
        Self {
            file: Value::Object(taken.collect()),
            locked: locks::read(section("settings").cloned(), &mut Vec::new()),
        }
    }

    /// Settings about which the file has the last word, or what they begin with.
    #[must_use]
    pub fn locked(&self) -> &[String] {
        &self.locked
    }

    /// What is in force if this is set.
    ///
    /// # Errors
    /// Everything that is wrong with it, by the names of settings.
    pub fn check(&self, values: &SettingsValues) -> Result<InForce, Vec<Problem>> {
        let set = leaves(values);
        let refused: Vec<_> = set
            .iter()
            .filter_map(|(name, value)| self.refuses(name, value))
            .collect();
        if refused.is_empty() {
            return self.in_force(&set);
        }
        Err(refused)
    }

    /// What is in force when this was set for another file: what this one locks, or lets nobody
    /// set so, is as it says.
    ///
    /// # Errors
    /// What remains does not fit this file.
    pub fn admit(&self, values: &SettingsValues) -> Result<InForce, Vec<Problem>> {
        self.in_force(&self.admitted(values))
    }

    fn admitted(&self, values: &SettingsValues) -> BTreeMap<String, Value> {
        let mut set = leaves(values);
        set.retain(|name, value| self.refuses(name, value).is_none());
        set
    }

    /// Why a setting must not be so.
    fn refuses(&self, name: &str, value: &Value) -> Option<Problem> {
        let why = |message: String| {
            Some(Problem {
                path: name.to_owned(),
                message,
            })
        };
        if self.locked.iter().any(|lock| covers(lock, name)) {
            return why("is locked by the policy file".to_owned());
        }
        let in_file = find(&self.file, name);
        match name {
            "audit.contents_days" => {
                let Some(least) = in_file.and_then(Value::as_u64) else {
                    return why(
                        "cannot be set: by the policy file what is kept is kept for ever"
                            .to_owned(),
                    );
                };
                let is_so = value
                    .as_u64()
                    .is_some_and(|days| (least..=MOST_DAYS).contains(&days));
                (!is_so).then(|| {
                    why(format!(
                        "must be {least}, as in the policy file, to {MOST_DAYS}"
                    ))
                })?
            }
            "people.notices.password" => {
                let least = in_file.map_or(0, care);
                (care(value) < least)
                    .then(|| why("must be as careful as the policy file".to_owned()))?
            }
            "mail.language" | "entra.compare_minutes" => {
                let section = name.split('.').next().unwrap_or_default();
                self.file
                    .get(section)
                    .is_none()
                    .then(|| why(format!("cannot be set: the policy file has no `{section}`")))?
            }
            _ => None,
        }
    }

    fn merged(&self, set: &BTreeMap<String, Value>) -> Value {
        let mut merged = self.file.clone();
        for (name, value) in set {
            put(&mut merged, name, value.clone());
        }
        merged
    }

    fn in_force(&self, set: &BTreeMap<String, Value>) -> Result<InForce, Vec<Problem>> {
        let merged = self.merged(set);
        let section = |name: &str| merged.get(name).cloned();
        let mut problems = Vec::new();
        let alerts = alerts::config::read(section("alerts"), &mut problems);
        let people = provisioning::config::read(section("people"), &mut problems);
        let mail = mail::config::read(section("mail"), &mut problems);
        let entra = entra::config::read(section("entra"), &mut problems);
        if people.notices.delivery != Delivery::Combined && mail.is_none() {
            problems.push(Problem {
                path: "people.notices.password".to_owned(),
                message: "needs the section `mail` of the policy file".to_owned(),
            });
        }
        if !problems.is_empty() {
            problems.sort();
            problems.dedup();
            return Err(problems);
        }
        let days = find(&merged, "audit.contents_days").and_then(Value::as_u64);
        Ok(InForce {
            version: 0,
            rules: alerts.rules,
            people: Arc::new(people),
            language: mail.map(|mail| mail.language).unwrap_or_default(),
            contents_days: days.and_then(|days| u32::try_from(days).ok()),
            compare_every: entra.and_then(|entra| entra.compare_every),
            problems: Vec::new(),
        })
    }

    /// Every setting that applies when this is set, and who says so.
    #[must_use]
    pub fn shown(&self, values: &SettingsValues) -> Shown {
        let mut set = self.admitted(values);
        let in_force = match self.in_force(&set) {
            Ok(in_force) => in_force,
            Err(_) => {
                set.clear();
                self.in_force(&set).unwrap_or_default()
            }
        };
        let merged = self.merged(&set);
        let effective = effective(&merged, &in_force);
        let effective: SettingsValues = serde_json::from_value(effective).unwrap_or_default();
        let origins = leaves(&effective).into_keys().map(|name| {
            let origin = if set.contains_key(&name) {
                Origin::Settings
            } else if find(&self.file, &name).is_some() {
                Origin::File
            } else {
                Origin::Default
            };
            (name, origin)
        });
        let origins = origins.collect();
        Shown { effective, origins }
    }
}

/// How careful a way to bring a password is.
fn care(delivery: &Value) -> usize {
    let careful = ["combined", "split", "link"];
    let place = careful.iter().position(|name| delivery == name);
    place.unwrap_or_default()
}

/// Every member of what is in force, as in the policy file.
fn effective(merged: &Value, in_force: &InForce) -> Value {
    let rules = find(merged, "alerts.rules").cloned().unwrap_or(json!({}));
    let rules: RawAlertRules = serde_json::from_value(rules).unwrap_or_default();
    let mut rules = serde_json::to_value(rules).unwrap_or_default();
    for name in ["off_hours", "changes"] {
        if let Some(rule) = rules.get_mut(name).filter(|rule| rule.is_null()) {
            *rule = json!({"enabled": false});
        }
    }
    let notices = &in_force.people.notices;
    let mut people = json!({
        "exceptions": find(merged, "people.exceptions").cloned().unwrap_or(json!([])),
        "notices": {
            "password": notices.delivery,
            "language": notices.language.unwrap_or(in_force.language),
            "sign_in_url": notices.sign_in_url, "contact": notices.contact,
            "link_hours": notices.link_hours,
        },
    });
    if let Some((days, then)) = in_force.people.unused {
        put(&mut people, "unused", json!({"days": days, "then": then}));
    }
    let mut all = json!({"alerts": {"rules": rules}, "people": people});
    if merged.get("mail").is_some() {
        put(&mut all, "mail.language", json!(in_force.language));
    }
    let minutes = in_force.compare_every.as_ref().map(Duration::as_secs);
    if let Some(seconds) = minutes {
        put(&mut all, "entra.compare_minutes", json!(seconds / 60));
    }
    if let Some(days) = in_force.contents_days {
        put(&mut all, "audit.contents_days", json!(days));
    }
    all
}

/// What is set, by name.
fn leaves(values: &SettingsValues) -> BTreeMap<String, Value> {
    fn walk(value: Value, path: &str, found: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let path = match path {
                        "" => name,
                        path => format!("{path}.{name}"),
                    };
                    walk(member, &path, found);
                }
            }
            value => {
                found.insert(path.to_owned(), value);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(
        serde_json::to_value(values).unwrap_or_default(),
        "",
        &mut found,
    );
    found
}

/// The member at a path.
fn find<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let found = name
        .split('.')
        .try_fold(value, |value, part| value.get(part));
    found.filter(|value| !value.is_null())
}

/// Sets the member at a path.
fn put(value: &mut Value, name: &str, new: Value) {
    let mut at = value;
    for part in name.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(members) = at else { return };
        at = members.entry(part).or_insert(Value::Null);
    }
    *at = new;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground() -> Ground {
        Ground::new(&json!({
            "organisation": "Example",
            "alerts": {"rules": {"refusal_burst": {"user": 5}}},
            "people": {"notices": {"password": "split"}, "exceptions": ["7"]},
            "mail": {"server": "mail.example:587", "sender": "a@example.com", "language": "en"},
            "audit": {"contents": "redacted", "contents_days": 30},
            "settings": {"locked": ["alerts.rules.changes"]},
        }))
    }

    fn values(value: Value) -> SettingsValues {
        serde_json::from_value(value).unwrap()
    }

    fn wrong(value: Value) -> Vec<String> {
        let problems = ground().check(&values(value)).unwrap_err();
        problems.into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn what_is_set_goes_before_the_file_member_by_member() {
        let set = values(json!({
            "alerts": {"rules": {"refusal_burst": {"minutes": 7}, "off_hours": {"enabled": true}}},
            "people": {"unused": {"days": 90}},
            "audit": {"contents_days": 60},
        }));
        let in_force = ground().check(&set).unwrap();
        let burst = in_force.rules.refusal_burst.unwrap();
        assert_eq!((burst.minutes, burst.user, burst.key), (7, 5, 20));
        assert!(in_force.rules.off_hours.is_some());
        assert_eq!(in_force.contents_days, Some(60));
        let shown = ground().shown(&set);
        let origin = |name: &str| shown.origins[name];
        assert_eq!(
            origin("alerts.rules.refusal_burst.minutes"),
            Origin::Settings
        );
        assert_eq!(origin("alerts.rules.refusal_burst.user"), Origin::File);
        assert_eq!(origin("alerts.rules.refusal_burst.key"), Origin::Default);
        assert_eq!(origin("people.exceptions"), Origin::File);
        assert_eq!(origin("people.unused.days"), Origin::Settings);
        assert_eq!(origin("mail.language"), Origin::File);
        assert!(!shown.origins.contains_key("entra.compare_minutes"));
        let effective = serde_json::to_value(&shown.effective).unwrap();
        assert_eq!(
            effective["people"]["unused"],
            json!({"days": 90, "then": "report"})
        );
        assert_eq!(effective["people"]["notices"]["language"], "en");
        assert_eq!(
            effective["alerts"]["rules"]["changes"],
            json!({"enabled": false})
        );
    }

    #[test]
    fn what_may_not_be_set_is_named() {
        assert_eq!(
            wrong(json!({
                "alerts": {"rules": {"changes": {"enabled": false}}},
                "audit": {"contents_days": 29},
                "people": {"notices": {"password": "combined"}},
                "entra": {"compare_minutes": 5},
            })),
            [
                "alerts.rules.changes.enabled",
                "audit.contents_days",
                "entra.compare_minutes",
                "people.notices.password",
            ]
        );
        assert_eq!(
            wrong(json!({
                "alerts": {"rules": {"refusal_burst": {"minutes": 0}, "off_hours": {"from": "8"}}},
                "people": {"unused": {"days": 0}, "notices": {"sign_in_url": "javascript:x"}},
            })),
            [
                "alerts.rules.off_hours.from",
                "alerts.rules.refusal_burst.minutes",
                "people.notices.sign_in_url",
                "people.unused.days",
            ]
        );
    }

    #[test]
    fn what_is_kept_for_ever_by_the_file_cannot_be_given_an_end() {
        let set = values(json!({"audit": {"contents_days": 36_500}}));
        assert!(Ground::default().check(&set).is_err());
        assert!(ground().check(&set).is_ok());
    }

    #[test]
    fn what_another_file_allowed_is_as_this_file_says() {
        let set = values(json!({
            "alerts": {"rules": {"changes": {"enabled": true}, "refusal_burst": {"user": 9}}},
            "audit": {"contents_days": 7},
        }));
        let in_force = ground().admit(&set).unwrap();
        assert_eq!(in_force.rules.changes, None);
        assert_eq!(in_force.rules.refusal_burst.unwrap().user, 9);
        assert_eq!(in_force.contents_days, Some(30));
        let origins = ground().shown(&set).origins;
        assert_eq!(origins["audit.contents_days"], Origin::File);
    }
}
