//! Sections of the file that are about the sidecar alone. They are taken out before filters
//! get the rest.

use schemars::{JsonSchema, Schema, schema_for};
use sekisho_domain::{Policy, Problem};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::alerts;
use crate::alerts::config::{Alerts, RawAlerts};
use crate::cold::config::{self as retention, RawRetention, Retention};
use crate::entra::config::{self as entra, EntraConfig, RawEntra};
use crate::mail;
use crate::mail::MailSettings;
use crate::mail::config::RawMail;
use crate::provisioning::config::RawPeople;
use crate::provisioning::notices::Delivery;
use crate::provisioning::{self, PeopleSettings};
use crate::push;
use crate::push::PushSettings;
use crate::push::config::RawPush;
use crate::report::schedule::Schedule;
use crate::report::schedule::config::{self as reports, RawReport};
use crate::settings::{self, RawSettings};
use crate::siem;
use crate::siem::config::{Destination, RawDestination};

/// What of the file is for the sidecar alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections {
    /// Destinations of every record.
    pub siem: Vec<Destination>,
    /// The tenant whose accounts are managed.
    pub entra: Option<EntraConfig>,
    /// How mail is sent, if it is.
    pub mail: Option<MailSettings>,
    /// How messages are pushed, if they are.
    pub push: Option<PushSettings>,
    /// What raises alerts, and who is told.
    pub alerts: Alerts,
    /// How accounts of people are made and kept.
    pub people: PeopleSettings,
    /// Settings about which the file has the last word.
    pub locked: Vec<String>,
    /// How long records are kept, and where; none: all in the database.
    pub retention: Option<Retention>,
    /// Reports that are sent by themselves.
    pub reports: Vec<Schedule>,
}

impl Sections {
    /// Takes the sections out of the file; what is wrong with them is noted.
    pub(super) fn take(file: &mut Value, problems: &mut Vec<Problem>) -> Self {
        let mut section = |name: &str| file.as_object_mut().and_then(|file| file.remove(name));
        Self {
            siem: siem::config::read(section("siem"), problems),
            entra: entra::read(section("entra"), problems),
            mail: mail::config::read(section("mail"), problems),
            push: push::config::read(section("push"), problems),
            alerts: alerts::config::read(section("alerts"), problems),
            people: provisioning::config::read(section("people"), problems),
            locked: settings::read(section("settings"), problems),
            retention: retention::read(section("retention"), problems),
            reports: reports::read(section("reports"), problems),
        }
    }

    /// What is wrong with the sections, given the rest of the file.
    pub(super) fn check(&self, policy: &Policy) -> Vec<Problem> {
        let of_entra = |config| entra::check(config, policy);
        let mut problems = self.entra.as_ref().map(of_entra).unwrap_or_default();
        if self.people.notices.delivery != Delivery::Combined && self.mail.is_none() {
            problems.push(Problem {
                path: "people.notices.password".to_owned(),
                message: "needs the section `mail`: without it people are sent nothing".to_owned(),
            });
        }
        if self.mail.is_none() {
            let mailed = self.reports.iter().enumerate();
            for (at, _) in mailed.filter(|(_, report)| !report.to.is_empty()) {
                problems.push(Problem {
                    path: format!("reports[{at}].to"),
                    message: "needs the section `mail`: without it nobody is sent anything"
                        .to_owned(),
                });
            }
        }
        if !self.alerts.mails.is_empty() && self.mail.is_none() {
            problems.push(Problem {
                path: "alerts.mails".to_owned(),
                message: "needs the section `mail`: without it nobody is sent anything".to_owned(),
            });
        }
        problems
    }
}

/// The sections as they stand in the file, for its schema.
#[derive(Serialize, JsonSchema)]
struct RawSections {
    /// Where every audit record is brought, at least once and in order.
    #[serde(default)]
    siem: Vec<RawDestination>,
    /// The company's tenant of Entra ID.
    #[serde(default)]
    entra: Option<RawEntra>,
    /// The mail server, and who writes. Without it no mail is sent.
    #[serde(default)]
    mail: Option<RawMail>,
    /// Messages to browsers and webhooks. Without it none are pushed.
    #[serde(default)]
    push: Option<RawPush>,
    /// Rules that look for unusual behaviour in the records, and who is told.
    #[serde(default)]
    alerts: RawAlerts,
    /// How accounts of people are made and kept.
    #[serde(default)]
    people: RawPeople,
    /// What may be changed while the sidecar runs.
    #[serde(default)]
    settings: RawSettings,
    /// How long records of the audit log are kept, and where.
    #[serde(default)]
    retention: Option<RawRetention>,
    /// Reports that are sent when a day or a month is over.
    #[serde(default)]
    reports: Vec<RawReport>,
}

/// Adds the sections to the schema of the file.
pub(super) fn describe(schema: &mut Schema) {
    let mut sections = schema_for!(RawSections).to_value();
    let mut taken = |name: &str| match sections.get_mut(name).map(Value::take) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    for name in ["properties", "$defs"] {
        let more = taken(name);
        if let Some(Value::Object(members)) = schema.get_mut(name) {
            members.extend(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_way_to_tell_people_without_mail_is_a_mistake() {
        let policy = json!({
            "version": 1, "organisation": "Example", "time_zone": "Asia/Tokyo", "currency": "JPY",
            "scopes": {"all_apis": null},
            "issuers": [{"issuer": "https://login.example/t/v2.0", "tenant": "t",
                         "audiences": ["api://x"], "jwks_uri": "https://login.example/keys"}],
            "upstreams": [{"name": "azure", "provider": "azure_openai", "url": "https://a.example"}],
            "apis": [{"name": "azure", "provider": "azure_openai",
                      "operations": ["chat_completions"], "scope": "all_apis",
                      "models": [{"name": "gpt-4o", "upstream": "azure"}]}],
            "departments": [{"id": "sales", "name": "Sales"}],
            "prices": [{"model": "gpt-4o", "from": "2024-10-01", "input_per_million": 375,
                        "output_per_million": 1500}],
        });
        let policy = Policy::parse(policy).unwrap();
        let mail = json!({"server": "mail.example:587", "sender": "sekisho@example.com"});
        for (password, mail, is_sound) in [
            ("split", Value::Null, false),
            ("split", mail, true),
            ("combined", Value::Null, true),
        ] {
            let mut file = json!({"people": {"notices": {"password": password}}, "mail": mail});
            let mut problems = Vec::new();
            let sections = Sections::take(&mut file, &mut problems);
            problems.extend(sections.check(&policy));
            let paths: Vec<_> = problems.iter().map(|problem| &problem.path).collect();
            assert_eq!(paths.is_empty(), is_sound, "{password}: {paths:?}");
        }
    }
}
