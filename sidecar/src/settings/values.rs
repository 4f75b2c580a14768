//! Every setting there is: members as in the policy file.

use sekisho_domain::WindowUnit;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::alerts::config::RawWeekday;
use crate::mail::Language;
use crate::provisioning::config::Disuse;
use crate::provisioning::notices::Delivery;

/// What is set, under the names of the policy file; what is absent is as the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsValues {
    /// What raises alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<AlertSettings>,
    /// Accounts of people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<AccountSettings>,
    /// Mail; the policy file must have the section `mail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<MailLanguage>,
    /// The tenant; the policy file must have the section `entra`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entra: Option<TenantSettings>,
    /// What is kept of calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<KeepingSettings>,
}

/// Settings of alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertSettings {
    /// The rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<RuleSettings>,
}

/// Settings of the rules that raise alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSettings {
    /// Many refusals of one person, key or address, or with one denial code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal_burst: Option<RefusalBurstSettings>,
    /// Calls outside of working hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_hours: Option<OffHoursSettings>,
    /// Far more calls than usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudden_volume: Option<SuddenVolumeSettings>,
    /// Budgets that are used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_events: Option<BudgetEventSettings>,
    /// Calls whose end was never seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_closes: Option<UnknownCloseSettings>,
    /// Events on record that somebody wants to hear of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<ChangeSettings>,
}

/// Many refusals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusalBurstSettings {
    /// Whether the rule is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Within so many minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1440)]
    pub minutes: Option<u32>,
    /// So many of one person; 0: not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000)]
    pub user: Option<u32>,
    /// So many of one key; 0: not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000)]
    pub key: Option<u32>,
    /// So many from one address; 0: not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000)]
    pub address: Option<u32>,
    /// So many with one denial code; 0: not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000)]
    pub denial: Option<u32>,
    /// After an alert there is none about the same for so many minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1440)]
    pub quiet_minutes: Option<u32>,
}

/// Calls outside of working hours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OffHoursSettings {
    /// Whether the rule is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Working days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Vec<RawWeekday>>,
    /// When working hours begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "08:00")]
    pub from: Option<String>,
    /// When they end; `24:00` is midnight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "20:00")]
    pub until: Option<String>,
    /// Days that are no working days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["2026-11-23"]))]
    pub holidays: Option<Vec<String>>,
    /// From so many calls of a day on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub calls: Option<u32>,
}

/// Far more calls than usual.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuddenVolumeSettings {
    /// Whether the rule is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Against the median of so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 3, maximum = 60)]
    pub days: Option<u16>,
    /// So many times the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 2, maximum = 1000)]
    pub factor: Option<u32>,
    /// Fewer calls of a day never raise an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub calls_per_day: Option<u32>,
    /// Fewer calls of an hour never raise an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub calls_per_hour: Option<u32>,
}

/// Budgets that are used up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetEventSettings {
    /// Whether the rule is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// In percent: of 50, 80 and 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!([80, 100]))]
    pub levels: Option<Vec<u64>>,
    /// Of budgets with these windows: of `minute`, `hour`, `day` and `month`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["month"]))]
    pub windows: Option<Vec<WindowUnit>>,
}

/// Calls whose end was never seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnknownCloseSettings {
    /// Whether the rule is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// So many raise an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub calls: Option<u32>,
    /// Within so many minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1440)]
    pub minutes: Option<u32>,
    /// After an alert there is none for so many minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1440)]
    pub quiet_minutes: Option<u32>,
}

/// Events on record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeSettings {
    /// Whether the rule is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Names of events; `apikey.*` for all that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["policy.*", "settings.*"]))]
    pub events: Option<Vec<String>>,
}

/// Settings of accounts of people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountSettings {
    /// Ids of people whom disuse does not disable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["001"]))]
    pub exceptions: Option<Vec<String>>,
    /// What becomes of people who do not call for a long time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused: Option<UnusedSettings>,
    /// How people learn of their accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notices: Option<NoticesSettings>,
}

/// Accounts that are not used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnusedSettings {
    /// Days without a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 3650)]
    pub days: Option<u16>,
    /// Whether they are only reported or also disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Disuse>,
}

/// Notices of accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticesSettings {
    /// How a first password reaches its owner: as the policy file says, or more carefully.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Delivery>,
    /// In which language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// Where people sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://myaccount.microsoft.com")]
    pub sign_in_url: Option<String>,
    /// Whom people ask for help; one line of at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "情報システム部 内線 1234")]
    pub contact: Option<String>,
    /// For how many hours a link is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 720)]
    pub link_hours: Option<u32>,
}

/// Mails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MailLanguage {
    /// In which language mails are, where nobody says another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

/// The tenant of Entra ID.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantSettings {
    /// After how many minutes directory and tenant are compared again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 5, maximum = 10080)]
    pub compare_minutes: Option<u32>,
}

/// What is kept of calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepingSettings {
    /// After how many days what was kept of bodies can no longer be read: as many as the policy
    /// file says, or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 36500)]
    pub contents_days: Option<u32>,
}

/// The name of every setting: its path in the policy file.
pub const NAMES: &[&str] = &[
    "alerts.rules.budget_events.enabled",
    "alerts.rules.budget_events.levels",
    "alerts.rules.budget_events.windows",
    "alerts.rules.changes.enabled",
    "alerts.rules.changes.events",
    "alerts.rules.off_hours.calls",
    "alerts.rules.off_hours.days",
    "alerts.rules.off_hours.enabled",
    "alerts.rules.off_hours.from",
    "alerts.rules.off_hours.holidays",
    "alerts.rules.off_hours.until",
    "alerts.rules.refusal_burst.address",
    "alerts.rules.refusal_burst.denial",
    "alerts.rules.refusal_burst.enabled",
    "alerts.rules.refusal_burst.key",
    "alerts.rules.refusal_burst.minutes",
    "alerts.rules.refusal_burst.quiet_minutes",
    "alerts.rules.refusal_burst.user",
    "alerts.rules.sudden_volume.calls_per_day",
    "alerts.rules.sudden_volume.calls_per_hour",
    "alerts.rules.sudden_volume.days",
    "alerts.rules.sudden_volume.enabled",
    "alerts.rules.sudden_volume.factor",
    "alerts.rules.unknown_closes.calls",
    "alerts.rules.unknown_closes.enabled",
    "alerts.rules.unknown_closes.minutes",
    "alerts.rules.unknown_closes.quiet_minutes",
    "audit.contents_days",
    "entra.compare_minutes",
    "mail.language",
    "people.exceptions",
    "people.notices.contact",
    "people.notices.language",
    "people.notices.link_hours",
    "people.notices.password",
    "people.notices.sign_in_url",
    "people.unused.days",
    "people.unused.then",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Members of an object schema, and of those under it.
    fn names(schemas: &Value, schema: &Value, path: &str, found: &mut Vec<String>) {
        let named = |one: &Value| {
            let name = one["$ref"].as_str()?.rsplit('/').next()?;
            Some(schemas[name].clone())
        };
        let inside = schema["oneOf"].as_array().into_iter().flatten();
        let inside = inside.chain([schema]).find_map(named);
        let object = inside.unwrap_or_else(|| schema.clone());
        match object["properties"].as_object() {
            Some(members) => {
                for (name, member) in members {
                    let path = format!("{path}.{name}");
                    names(schemas, member, &path, found);
                }
            }
            None => found.push(path.trim_start_matches('.').to_owned()),
        }
    }

    #[test]
    fn every_setting_of_the_description_has_its_name_in_the_list() {
        let description: Value = serde_json::from_str(&crate::api::openapi_json()).unwrap();
        let schemas = &description["components"]["schemas"];
        let mut found = Vec::new();
        names(schemas, &schemas["SettingsValues"], "", &mut found);
        found.sort();
        assert_eq!(found, NAMES);
    }
}
