//! The rules as they stand in the policy file, with what they are by default.

use jiff::civil::{Date, Time, Weekday};
use schemars::JsonSchema;
use sekisho_domain::WindowUnit;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{BudgetEvents, Changes, OffHours, RefusalBurst, Rules, SuddenVolume, UnknownCloses};
use crate::forward::config::Checking;

/// Most minutes of anything: a day.
const MOST_MINUTES: u32 = 1440;

/// What raises alerts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAlertRules {
    /// Many refusals of one person, key or address, or with one denial code, within some
    /// minutes.
    pub refusal_burst: RawRefusalBurst,
    /// A person calls outside of working hours by the company's time zone. Off unless it is
    /// named.
    pub off_hours: Option<RawOffHours>,
    /// A person's calls of a day, or of an hour, are far above the median of the last days on
    /// which there were any.
    pub sudden_volume: RawSuddenVolume,
    /// A budget is used up to a level.
    pub budget_events: RawBudgetEvents,
    /// Calls whose end was never seen: a gateway fell silent.
    pub unknown_closes: RawUnknownCloses,
    /// Events on record that somebody wants to hear of. Off unless it is named.
    pub changes: Option<RawChanges>,
}

/// Many refusals.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRefusalBurst {
    /// Whether it is on.
    pub enabled: bool,
    /// Within so many minutes, 1 to 1440.
    pub minutes: u32,
    /// So many of one person raise an alert; 0: persons are not counted.
    pub user: u32,
    /// So many of one key; 0: keys are not counted.
    pub key: u32,
    /// So many from one address (of IPv6: its network of 64 bits); 0: addresses are not counted.
    pub address: u32,
    /// So many with one denial code, whosever; 0: codes are not counted.
    pub denial: u32,
    /// After an alert there is none about the same for so many minutes, 1 to 1440.
    pub quiet_minutes: u32,
}

impl Default for RawRefusalBurst {
    fn default() -> Self {
        Self {
            enabled: true,
            minutes: 5,
            user: 20,
            key: 20,
            address: 50,
            denial: 200,
            quiet_minutes: 60,
        }
    }
}

/// Calls outside of working hours.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawOffHours {
    /// Whether it is on.
    pub enabled: bool,
    /// Working days.
    pub days: Vec<RawWeekday>,
    /// When working hours begin, `HH:MM`.
    pub from: String,
    /// When they end, `HH:MM`; `24:00` is midnight.
    pub until: String,
    /// Days that are no working days, `YYYY-MM-DD`.
    pub holidays: Vec<String>,
    /// From so many calls of a day on, 1 to 1000000.
    pub calls: u32,
}

impl Default for RawOffHours {
    fn default() -> Self {
        use RawWeekday::{Fri, Mon, Thu, Tue, Wed};
        Self {
            enabled: true,
            days: vec![Mon, Tue, Wed, Thu, Fri],
            from: "08:00".to_owned(),
            until: "20:00".to_owned(),
            holidays: Vec::new(),
            calls: 1,
        }
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawWeekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl From<RawWeekday> for Weekday {
    fn from(day: RawWeekday) -> Self {
        match day {
            RawWeekday::Mon => Self::Monday,
            RawWeekday::Tue => Self::Tuesday,
            RawWeekday::Wed => Self::Wednesday,
            RawWeekday::Thu => Self::Thursday,
            RawWeekday::Fri => Self::Friday,
            RawWeekday::Sat => Self::Saturday,
            RawWeekday::Sun => Self::Sunday,
        }
    }
}

/// Far more calls than usual.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawSuddenVolume {
    /// Whether it is on.
    pub enabled: bool,
    /// Against the median of so many days, 3 to 60.
    pub days: u16,
    /// So many times the median, 2 to 1000.
    pub factor: u32,
    /// Fewer calls of a day never raise an alert, 1 to 1000000.
    pub calls_per_day: u32,
    /// Fewer calls of an hour never raise an alert, 1 to 1000000.
    pub calls_per_hour: u32,
}

impl Default for RawSuddenVolume {
    fn default() -> Self {
        Self {
            enabled: true,
            days: 14,
            factor: 5,
            calls_per_day: 200,
            calls_per_hour: 100,
        }
    }
}

/// Budgets that are used up.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawBudgetEvents {
    /// Whether it is on.
    pub enabled: bool,
    /// In percent: of 50, 80 and 100.
    pub levels: Vec<u64>,
    /// Of budgets with these windows.
    pub windows: Vec<WindowUnit>,
}

impl Default for RawBudgetEvents {
    fn default() -> Self {
        Self {
            enabled: true,
            levels: vec![50, 80, 100],
            windows: vec![WindowUnit::Day, WindowUnit::Month],
        }
    }
}

/// Calls whose end was never seen.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawUnknownCloses {
    /// Whether it is on.
    pub enabled: bool,
    /// From so many on, 1 to 1000000.
    pub calls: u32,
    /// Within so many minutes, 1 to 1440.
    pub minutes: u32,
    /// After an alert there is none for so many minutes, 1 to 1440.
    pub quiet_minutes: u32,
}

impl Default for RawUnknownCloses {
    fn default() -> Self {
        Self {
            enabled: true,
            calls: 1,
            minutes: 60,
            quiet_minutes: 60,
        }
    }
}

/// Events on record.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawChanges {
    /// Whether it is on.
    pub enabled: bool,
    /// Their names, such as `policy.serve`; `apikey.*` for all that begin so.
    pub events: Vec<String>,
}

impl Default for RawChanges {
    fn default() -> Self {
        let events = [
            "policy.*",
            "settings.*",
            "apikey.*",
            "budget.*",
            "user.disable",
        ];
        Self {
            enabled: true,
            events: events.map(str::to_owned).into(),
        }
    }
}

/// Each rule is read by itself, so that a mistake in one hides none in another.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    refusal_burst: Option<Value>,
    off_hours: Option<Value>,
    sudden_volume: Option<Value>,
    budget_events: Option<Value>,
    unknown_closes: Option<Value>,
    changes: Option<Value>,
}

pub(super) fn read(section: Option<Value>, checking: &mut Checking<'_>) -> Rules {
    let Some(section) = section.filter(|section| !section.is_null()) else {
        return Rules::default();
    };
    let Some(members) = checking.read::<Members>("alerts.rules", section) else {
        return Rules::default();
    };
    let raw = RawAlertRules {
        refusal_burst: one("refusal_burst", members.refusal_burst, checking).unwrap_or_default(),
        off_hours: one("off_hours", members.off_hours, checking),
        sudden_volume: one("sudden_volume", members.sudden_volume, checking).unwrap_or_default(),
        budget_events: one("budget_events", members.budget_events, checking).unwrap_or_default(),
        unknown_closes: one("unknown_closes", members.unknown_closes, checking).unwrap_or_default(),
        changes: one("changes", members.changes, checking),
    };
    checked(raw, checking)
}

fn one<T: DeserializeOwned>(
    name: &str,
    value: Option<Value>,
    checking: &mut Checking<'_>,
) -> Option<T> {
    checking.read(&format!("alerts.rules.{name}"), value?)
}

pub(super) fn checked(raw: RawAlertRules, checking: &mut Checking<'_>) -> Rules {
    Rules {
        refusal_burst: refusal_burst(raw.refusal_burst, checking),
        off_hours: raw.off_hours.and_then(|raw| off_hours(raw, checking)),
        sudden_volume: sudden_volume(raw.sudden_volume, checking),
        budget_events: budget_events(raw.budget_events, checking),
        unknown_closes: unknown_closes(raw.unknown_closes, checking),
        changes: raw.changes.and_then(|raw| changes(raw, checking)),
    }
}

/// Notes numbers that are out of range.
fn numbers(checking: &mut Checking<'_>, rule: &str, numbers: &[(&str, u32, u32, u32)]) {
    for (name, number, least, most) in numbers {
        if !(least..=most).contains(&number) {
            let path = format!("alerts.rules.{rule}.{name}");
            checking.problem(path, format!("must be {least} to {most}"));
        }
    }
}

const MANY: u32 = 1_000_000;

fn refusal_burst(raw: RawRefusalBurst, checking: &mut Checking<'_>) -> Option<RefusalBurst> {
    numbers(
        checking,
        "refusal_burst",
        &[
            ("minutes", raw.minutes, 1, MOST_MINUTES),
            ("quiet_minutes", raw.quiet_minutes, 1, MOST_MINUTES),
            ("user", raw.user, 0, MANY),
            ("key", raw.key, 0, MANY),
            ("address", raw.address, 0, MANY),
            ("denial", raw.denial, 0, MANY),
        ],
    );
    raw.enabled.then_some(RefusalBurst {
        minutes: raw.minutes,
        user: raw.user,
        key: raw.key,
        address: raw.address,
        denial: raw.denial,
        quiet_minutes: raw.quiet_minutes,
    })
}

fn off_hours(raw: RawOffHours, checking: &mut Checking<'_>) -> Option<OffHours> {
    let at = |member: &str| format!("alerts.rules.off_hours.{member}");
    numbers(checking, "off_hours", &[("calls", raw.calls, 1, MANY)]);
    if raw.days.is_empty() {
        checking.problem(
            at("days"),
            "must name a day: switch the rule off by `enabled`",
        );
    }
    let from = time(&raw.from);
    if from.is_none() {
        checking.problem(at("from"), "must be a time such as `08:00`");
    }
    let until = match raw.until.as_str() {
        "24:00" => Some(None),
        text => time(text).map(Some),
    };
    if until.is_none() {
        checking.problem(at("until"), "must be a time such as `20:00`, or `24:00`");
    }
    let (from, until) = (from.unwrap_or(Time::MIN), until.flatten());
    if until.is_some_and(|until| until <= from) {
        checking.problem(at("until"), "must be after `from`");
    }
    let mut holidays = Vec::new();
    for text in &raw.holidays {
        match text.parse::<Date>() {
            Ok(day) => holidays.push(day),
            Err(_) => {
                let text = format!("`{text}` is no day such as `2026-11-23`");
                checking.problem(at("holidays"), text);
            }
        }
    }
    raw.enabled.then_some(OffHours {
        days: raw.days.into_iter().map(Weekday::from).collect(),
        from,
        until,
        holidays,
        calls: raw.calls,
    })
}

/// `HH:MM`.
fn time(text: &str) -> Option<Time> {
    let is_plain = text.len() == 5 && text.as_bytes().get(2) == Some(&b':');
    text.parse().ok().filter(|_| is_plain)
}

fn sudden_volume(raw: RawSuddenVolume, checking: &mut Checking<'_>) -> Option<SuddenVolume> {
    numbers(
        checking,
        "sudden_volume",
        &[
            ("days", u32::from(raw.days), 3, 60),
            ("factor", raw.factor, 2, 1000),
            ("calls_per_day", raw.calls_per_day, 1, MANY),
            ("calls_per_hour", raw.calls_per_hour, 1, MANY),
        ],
    );
    raw.enabled.then_some(SuddenVolume {
        days: raw.days,
        factor: raw.factor,
        calls_per_day: raw.calls_per_day,
        calls_per_hour: raw.calls_per_hour,
    })
}

fn budget_events(raw: RawBudgetEvents, checking: &mut Checking<'_>) -> Option<BudgetEvents> {
    let is_level = |level: &u64| [50, 80, 100].contains(level);
    if !raw.levels.iter().all(is_level) {
        let path = "alerts.rules.budget_events.levels";
        checking.problem(path, "must be of 50, 80 and 100");
    }
    raw.enabled.then_some(BudgetEvents {
        levels: raw.levels,
        windows: raw.windows,
    })
}

fn unknown_closes(raw: RawUnknownCloses, checking: &mut Checking<'_>) -> Option<UnknownCloses> {
    numbers(
        checking,
        "unknown_closes",
        &[
            ("calls", raw.calls, 1, MANY),
            ("minutes", raw.minutes, 1, MOST_MINUTES),
            ("quiet_minutes", raw.quiet_minutes, 1, MOST_MINUTES),
        ],
    );
    raw.enabled.then_some(UnknownCloses {
        calls: raw.calls,
        minutes: raw.minutes,
        quiet_minutes: raw.quiet_minutes,
    })
}

fn changes(raw: RawChanges, checking: &mut Checking<'_>) -> Option<Changes> {
    for pattern in &raw.events {
        let name = pattern.strip_suffix('*').unwrap_or(pattern);
        let is_name = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._".contains(&b));
        if !is_name || pattern.is_empty() || pattern.starts_with("alert.") {
            let text =
                format!("`{pattern}` is no name of an event such as `apikey.revoke` or `apikey.*`");
            checking.problem("alerts.rules.changes.events", text);
        }
    }
    raw.enabled.then_some(Changes { events: raw.events })
}
