//! The section `people` of the policy file: how accounts of people are made and kept.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use sekisho_domain::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::accounts::{Place, UserName};
use super::notices::{self, NoticeSettings, config::RawNotices};
use super::pickup::config::{self as pickup, PickupSettings, RawPickup};
use crate::forward::config::Checking;
use crate::people::Person;

/// `people` as it stands in the file.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawPeople {
    /// The tenant in which accounts are made; default: the one of the issuers.
    pub tenant: Option<String>,
    /// The name with which people sign in (userPrincipalName): `{email}` and `{user_id}` stand for
    /// what the file says. Default: `{email}`.
    pub user_name: Option<String>,
    /// Whether files may be uploaded that are not encrypted with age; default: no.
    pub plain_csv: bool,
    /// Whether job titles must be titles of this policy; default: no.
    pub known_titles: bool,
    /// What becomes of rows whose department the policy does not have; default: they are refused.
    pub unknown_departments: Unknown,
    /// What becomes of rows whose job title the policy does not have; default: as `known_titles` says.
    pub unknown_titles: Option<Unknown>,
    /// Groups and app roles of each department's people, by the department's code.
    pub departments: BTreeMap<String, RawPlace>,
    /// Ids of people whom disuse does not disable.
    pub exceptions: Vec<String>,
    /// What becomes of people who do not call for a long time; default: nothing.
    pub unused: Option<RawUnused>,
    /// How people learn of their accounts.
    pub notices: RawNotices,
    /// Where files of people are picked up; default: nowhere, they are uploaded.
    pub pickup: Option<RawPickup>,
}

/// What becomes of a row that names what the policy does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It is wrong.
    #[default]
    Refuse,
    /// It is created with the file's job, and grants nothing.
    Create,
}

/// Groups and app roles.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawPlace {
    /// Object ids of groups.
    pub groups: Vec<String>,
    /// App roles of the gateway's registration, by value: scopes of this policy.
    pub app_roles: Vec<String>,
}

/// Accounts that are not used.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawUnused {
    /// Days without a call, 1 to 3650, counted from the first day of use.
    pub days: u16,
    /// Whether they are only reported or also disabled; default: reported.
    #[serde(default)]
    pub then: Disuse,
}

/// What becomes of an account that is not used.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Disuse {
    /// It is listed.
    #[default]
    Report,
    /// It is disabled, as by an administrator.
    Disable,
}

/// Groups and app roles.
type Parts = (Vec<String>, Vec<String>);

/// How accounts are made and kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeopleSettings {
    /// In which tenant, lower case; none: that of the issuers.
    pub tenant: Option<String>,
    user_name: String,
    /// Whether files need not be encrypted.
    pub plain_csv: bool,
    /// Whether titles must be known.
    pub known_titles: bool,
    /// Whether unknown departments are created.
    pub create_departments: bool,
    /// Whether unknown titles are created.
    pub create_titles: bool,
    departments: BTreeMap<String, Parts>,
    exceptions: HashSet<String>,
    /// Days without a call, and what then.
    pub unused: Option<(u16, Disuse)>,
    /// How people are told.
    pub notices: NoticeSettings,
    /// Where files are picked up.
    pub pickup: Option<PickupSettings>,
}

const EMAIL: &str = "{email}";
const USER_ID: &str = "{user_id}";

/// Reads the section; what is wrong with it is noted.
pub fn read(section: Option<Value>, problems: &mut Vec<Problem>) -> PeopleSettings {
    let raw = match section {
        None | Some(Value::Null) => RawPeople::default(),
        Some(section) => {
            let mut checking = Checking::new(problems);
            checking.read("people", section).unwrap_or_default()
        }
    };
    let mut problem = |path: &str, message: &str| {
        problems.push(Problem {
            path: format!("people.{path}"),
            message: message.to_owned(),
        });
    };
    let user_name = raw.user_name.unwrap_or_else(|| EMAIL.to_owned());
    if !is_user_name(&user_name) {
        let text = "must be `{email}`, or contain `{user_id}` once and a domain after `@`";
        problem("user_name", text);
    }
    if raw.tenant.as_ref().is_some_and(String::is_empty) {
        problem("tenant", "must not be empty");
    }
    if let Some(unused) = &raw.unused
        && !(1..=3650).contains(&unused.days)
    {
        problem("unused.days", "must be 1 to 3650");
    }
    let pickup = raw.pickup.map(|raw| pickup::read(raw, &mut problem));
    let notices = notices::config::read(raw.notices, problem);
    let departments = raw.departments.into_iter();
    PeopleSettings {
        tenant: raw.tenant.map(|tenant| tenant.to_lowercase()),
        user_name,
        plain_csv: raw.plain_csv,
        known_titles: raw.known_titles || raw.unknown_titles == Some(Unknown::Refuse),
        create_departments: raw.unknown_departments == Unknown::Create,
        create_titles: raw.unknown_titles == Some(Unknown::Create),
        departments: departments
            .map(|(department, place)| (department, (place.groups, place.app_roles)))
            .collect(),
        exceptions: raw.exceptions.into_iter().collect(),
        unused: raw.unused.map(|unused| (unused.days, unused.then)),
        notices,
        pickup,
    }
}

/// Whether everybody gets a name of his or her own by it.
fn is_user_name(pattern: &str) -> bool {
    if pattern == EMAIL {
        return true;
    }
    let rest = pattern.replacen(USER_ID, "x", 1);
    let Some((local, domain)) = rest.split_once('@') else {
        return false;
    };
    let is_plain = |text: &str| {
        let mut bytes = text.bytes();
        !text.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    pattern.contains(USER_ID) && is_plain(local) && is_plain(domain) && domain.contains('.')
}

impl PeopleSettings {
    /// The name with which a person signs in.
    #[must_use]
    pub fn user_name(&self, person: &Person) -> UserName {
        let pattern = if self.user_name.is_empty() {
            EMAIL
        } else {
            &self.user_name
        };
        let name = pattern
            .replace(EMAIL, &person.email)
            .replace(USER_ID, person.id.as_str());
        UserName(name.to_lowercase())
    }

    /// Groups and app roles of a department's people.
    #[must_use]
    pub fn place(&self, department: &str) -> Place {
        let (groups, app_roles) = self
            .departments
            .get(department)
            .cloned()
            .unwrap_or_default();
        let all = |part: fn(&Parts) -> &Vec<String>| {
            let mut all: Vec<String> = self.departments.values().flat_map(part).cloned().collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        Place {
            groups,
            managed_groups: all(|place| &place.0),
            app_roles,
            managed_app_roles: all(|place| &place.1),
        }
    }

    /// App roles of a department's people.
    #[must_use]
    pub fn app_roles(&self, department: &str) -> &[String] {
        let place = self.departments.get(department);
        place.map_or(&[], |(_, app_roles)| app_roles)
    }

    /// Whether disuse does not disable this person.
    #[must_use]
    pub fn is_exception(&self, person: &str) -> bool {
        self.exceptions.contains(person)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_wrong_is_named_by_its_path() {
        let mut problems = Vec::new();
        let section = json!({"user_name": "{name}@x.example", "tenant": "", "unused": {"days": 0},
                             "notices": {"sign_in_url": "here"}});
        read(Some(section), &mut problems);
        let paths: Vec<&str> = problems
            .iter()
            .map(|problem| problem.path.as_str())
            .collect();
        assert_eq!(
            paths,
            [
                "people.user_name",
                "people.tenant",
                "people.unused.days",
                "people.notices.sign_in_url"
            ]
        );
        let mut problems = Vec::new();
        read(Some(json!({"plain_csv": "yes"})), &mut problems);
        assert_eq!(problems[0].path, "people.plain_csv");
    }

    #[test]
    fn a_user_name_follows_from_the_person_alone() {
        for (pattern, is_one) in [
            ("{email}", true),
            ("{user_id}@example.com", true),
            ("u-{user_id}@corp.example.com", true),
            ("{user_id}", false),
            ("shared@example.com", false),
            ("{user_id}@localhost", false),
            ("{user_id}{user_id}@example.com", false),
        ] {
            assert_eq!(is_user_name(pattern), is_one, "{pattern}");
        }
    }

    #[test]
    fn a_department_has_its_own_roles_and_all_are_managed() {
        let section = json!({"departments": {"sales": {"groups": ["g1"], "app_roles": ["text_apis"]},
                                              "hr": {"groups": ["g2"], "app_roles": ["audio_apis", "text_apis"]}}});
        let settings = read(Some(section), &mut Vec::new());
        let place = settings.place("sales");
        assert_eq!(place.groups, ["g1"]);
        assert_eq!(
            place.managed_groups,
            ["g2", "g1"].into_iter().rev().collect::<Vec<_>>()
        );
        assert_eq!(place.managed_app_roles, ["audio_apis", "text_apis"]);
        assert!(settings.place("it").groups.is_empty());
    }
}
