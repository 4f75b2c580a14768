//! The section `alerts` of the policy file.

use jiff::civil::{Date, Time, Weekday};
use schemars::JsonSchema;
use sekisho_domain::{Problem, WindowUnit};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::alert::{RuleName, Severity};
use crate::forward::config::Checking;
use crate::forward::webhook::{RawWebhook, WebhookTarget};
use crate::mail::{Address, Language, address};

mod rules;

pub use rules::{RawAlertRules, RawWeekday};

/// Rules that raise alerts, and who is told.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAlerts {
    /// What raises alerts. A rule that is not named is as it is by default.
    #[serde(default)]
    pub rules: RawAlertRules,
    /// Where alerts are posted, at least once and in order (Standard Webhooks).
    #[serde(default)]
    pub webhooks: Vec<RawAlertWebhook>,
    /// Who is told by mail; needs the section `mail`.
    #[serde(default)]
    pub mails: Vec<RawAlertMail>,
}

/// Who is told by mail.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAlertMail {
    /// Addresses.
    pub to: Vec<String>,
    /// Only alerts of these rules; default: all.
    #[serde(default)]
    pub rules: Vec<RuleName>,
    /// Only alerts that matter so much.
    #[serde(default)]
    pub severity: Severity,
    /// In which language; default: that of `mail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

/// Where alerts are posted.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAlertWebhook {
    /// Its name. How far it has been brought the alerts is remembered under it.
    pub name: String,
    /// Where to, and the secret by which it knows us.
    pub webhook: RawWebhook,
    /// Only alerts of these rules; default: all.
    #[serde(default)]
    pub rules: Vec<RuleName>,
    /// Only alerts that matter so much.
    #[serde(default)]
    pub severity: Severity,
}

/// What raises alerts, and who is told.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Alerts {
    /// What raises them.
    pub rules: Rules,
    /// Where they are posted.
    pub webhooks: Vec<AlertWebhook>,
    /// Who is told by mail.
    pub mails: Vec<AlertMail>,
}

/// Who is told by mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertMail {
    /// Addresses.
    pub to: Vec<Address>,
    /// Which alerts.
    pub wanted: Wanted,
    /// In which language; none: that of the section `mail`.
    pub language: Option<Language>,
}

/// Where alerts are posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertWebhook {
    /// Its name.
    pub name: String,
    /// Where to.
    pub target: WebhookTarget,
    /// Which alerts.
    pub wanted: Wanted,
}

/// Which alerts somebody wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of these rules; none: of all.
    pub rules: Vec<RuleName>,
    /// That matter so much at least.
    pub severity: Severity,
}

impl Wanted {
    /// Whether an alert is among them.
    #[must_use]
    pub fn is(&self, rule: RuleName, severity: Severity) -> bool {
        severity >= self.severity && (self.rules.is_empty() || self.rules.contains(&rule))
    }
}

/// The rules that are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Many refusals.
    pub refusal_burst: Option<RefusalBurst>,
    /// Calls outside of working hours.
    pub off_hours: Option<OffHours>,
    /// Far more calls than usual.
    pub sudden_volume: Option<SuddenVolume>,
    /// Budgets that are used up.
    pub budget_events: Option<BudgetEvents>,
    /// Calls whose end was never seen.
    pub unknown_closes: Option<UnknownCloses>,
    /// Changes.
    pub changes: Option<Changes>,
}

impl Default for Rules {
    fn default() -> Self {
        let mut problems = Vec::new();
        rules::checked(RawAlertRules::default(), &mut Checking::new(&mut problems))
    }
}

/// See [`RawAlertRules`]; of each kind of subject 0 means: not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalBurst {
    /// Within so many minutes.
    pub minutes: u32,
    /// So many of a person.
    pub user: u32,
    /// So many of a key.
    pub key: u32,
    /// So many of an address.
    pub address: u32,
    /// So many with one denial code.
    pub denial: u32,
    /// After an alert none for so long.
    pub quiet_minutes: u32,
}

/// See [`RawAlertRules`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffHours {
    /// Working days.
    pub days: Vec<Weekday>,
    /// Working hours begin.
    pub from: Time,
    /// They end; none: at midnight.
    pub until: Option<Time>,
    /// No working days.
    pub holidays: Vec<Date>,
    /// From so many calls a day on.
    pub calls: u32,
}

/// See [`RawAlertRules`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuddenVolume {
    /// Against so many days.
    pub days: u16,
    /// So many times the median.
    pub factor: u32,
    /// Never below so many calls of a day.
    pub calls_per_day: u32,
    /// Never below so many calls of an hour.
    pub calls_per_hour: u32,
}

/// See [`RawAlertRules`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetEvents {
    /// These levels, in percent.
    pub levels: Vec<u64>,
    /// Of budgets with these windows.
    pub windows: Vec<WindowUnit>,
}

/// See [`RawAlertRules`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCloses {
    /// From so many on.
    pub calls: u32,
    /// Within so many minutes.
    pub minutes: u32,
    /// After an alert none for so long.
    pub quiet_minutes: u32,
}

/// See [`RawAlertRules`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Names of events, or their beginnings and `*`.
    pub events: Vec<String>,
}

/// Members of the section, each to be read by itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    rules: Option<Value>,
    webhooks: Option<Value>,
    mails: Option<Value>,
}

/// Reads the section; every problem is noted.
pub(crate) fn read(section: Option<Value>, problems: &mut Vec<Problem>) -> Alerts {
    let mut checking = Checking::new(problems);
    let Some(section) = section.filter(|section| !section.is_null()) else {
        return Alerts::default();
    };
    let Some(members) = checking.read::<Members>("alerts", section) else {
        return Alerts::default();
    };
    let rules = rules::read(members.rules, &mut checking);
    let mut webhooks = Vec::new();
    for (path, raw) in checking.list::<RawAlertWebhook>("alerts.webhooks", members.webhooks) {
        checking.name(&path, &raw.name);
        let target = WebhookTarget::read(&mut checking, &format!("{path}.webhook"), raw.webhook);
        webhooks.extend(target.map(|target| AlertWebhook {
            name: raw.name,
            target,
            wanted: Wanted {
                rules: raw.rules,
                severity: raw.severity,
            },
        }));
    }
    let mut mails = Vec::new();
    for (path, raw) in checking.list::<RawAlertMail>("alerts.mails", members.mails) {
        let to = address::read_all(&mut checking, &format!("{path}.to"), &raw.to);
        mails.push(AlertMail {
            to,
            wanted: Wanted {
                rules: raw.rules,
                severity: raw.severity,
            },
            language: raw.language,
        });
    }
    Alerts {
        rules,
        webhooks,
        mails,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(section: Value) -> Vec<String> {
        let mut problems = Vec::new();
        read(Some(section), &mut problems);
        let mut paths: Vec<_> = problems.into_iter().map(|problem| problem.path).collect();
        paths.sort();
        paths
    }

    #[test]
    fn without_the_section_the_rules_are_on_that_need_to_know_nothing_of_the_company() {
        let mut problems = Vec::new();
        let alerts = read(None, &mut problems);
        assert_eq!(problems, []);
        let rules = &alerts.rules;
        assert!(rules.refusal_burst.is_some() && rules.sudden_volume.is_some());
        assert!(rules.budget_events.is_some() && rules.unknown_closes.is_some());
        assert!(rules.off_hours.is_none() && rules.changes.is_none());
        assert!(alerts.webhooks.is_empty());
    }

    #[test]
    fn rules_are_switched_on_off_and_set() {
        let mut problems = Vec::new();
        let section = json!({
            "rules": {
                "refusal_burst": {"user": 5, "denial": 0},
                "off_hours": {"days": ["mon", "sat"], "from": "07:30", "until": "24:00", "holidays": ["2026-11-23"]},
                "sudden_volume": {"enabled": false},
                "budget_events": {"levels": [100], "windows": ["hour"]},
                "changes": {"events": ["apikey.*", "policy.serve"]},
            },
            "webhooks": [{"name": "soc", "webhook": {"url": "https://soc.example/in", "secret_env": "SOC"},
                          "rules": ["refusal_burst"], "severity": "medium"}],
        });
        let alerts = read(Some(section), &mut problems);
        assert_eq!(problems, []);
        let rules = alerts.rules;
        let burst = rules.refusal_burst.unwrap();
        assert_eq!((burst.user, burst.denial, burst.minutes), (5, 0, 5));
        let hours = rules.off_hours.unwrap();
        assert_eq!(hours.days, [Weekday::Monday, Weekday::Saturday]);
        assert_eq!((hours.until, hours.calls), (None, 1));
        assert_eq!(rules.sudden_volume, None);
        assert_eq!(rules.budget_events.unwrap().levels, [100]);
        let wanted = &alerts.webhooks[0].wanted;
        assert!(wanted.is(RuleName::RefusalBurst, Severity::High));
        assert!(!wanted.is(RuleName::RefusalBurst, Severity::Low));
        assert!(!wanted.is(RuleName::Changes, Severity::High));
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let section = json!({
            "rules": {
                "refusal_burst": {"minutes": 0, "usr": 3},
                "off_hours": {"from": "9", "holidays": ["2026-02-30"], "days": []},
                "sudden_volume": {"factor": 1, "days": 2},
                "budget_events": {"levels": [70]},
                "unknown_closes": {"calls": 0, "minutes": 5000},
                "changes": {"events": ["Key Issue", "alert.raise"]},
            },
            "webhooks": [
                {"name": "a", "webhook": {"url": "http://soc.example", "secret_env": "X", "secret_file": "/y"}},
                {"name": "a", "webhook": {"url": "https://soc.example", "secret_env": "X"}, "rules": ["x"]},
                {"name": "b c", "webhook": {"url": "https://soc.example", "secret_env": "X"}},
            ],
            "mails": [{"to": []}, {"to": ["a@example.com", "nobody"]}, {"to": ["a@example.com"], "rules": ["x"]}],
        });
        assert_eq!(
            paths(section),
            [
                "alerts.mails[0].to",
                "alerts.mails[1].to[1]",
                "alerts.mails[2].rules[0]",
                "alerts.rules.budget_events.levels",
                "alerts.rules.changes.events",
                "alerts.rules.changes.events",
                "alerts.rules.off_hours.days",
                "alerts.rules.off_hours.from",
                "alerts.rules.off_hours.holidays",
                "alerts.rules.refusal_burst.usr",
                "alerts.rules.sudden_volume.days",
                "alerts.rules.sudden_volume.factor",
                "alerts.rules.unknown_closes.calls",
                "alerts.rules.unknown_closes.minutes",
                "alerts.webhooks[0].webhook",
                "alerts.webhooks[0].webhook.url",
                "alerts.webhooks[1].rules[0]",
                "alerts.webhooks[2].name",
            ]
        );
        assert_eq!(paths(json!([])), ["alerts"]);
        assert_eq!(paths(json!({"rule": {}})), ["alerts.rule"]);
    }
}
