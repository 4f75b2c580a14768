//! A person with the account, as the API shows and takes them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::problem::Problem;
use crate::people::Person;
use crate::provisioning::jobs;

/// A person and the account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Profile {
    /// The company's own id.
    #[schema(example = "006")]
    id: String,
    /// Full name.
    name: String,
    /// E-mail address.
    email: String,
    /// Code of the department.
    department: String,
    /// Job title.
    #[serde(skip_serializing_if = "String::is_empty")]
    job_title: String,
    /// Telephone.
    #[serde(skip_serializing_if = "String::is_empty")]
    phone: String,
    /// First day of use.
    #[schema(example = "2023-04-01")]
    start_date: String,
    /// Last day of use.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_date: Option<String>,
    /// `active` or `inactive`: what the personnel department says.
    #[schema(example = "active")]
    status: &'static str,
    /// Whether the gateways let the person in today.
    active: bool,
    /// Whether an administrator has disabled the person for the time being.
    disabled: bool,
    account: AccountView,
}

/// A person's account.
#[derive(Debug, Serialize, ToSchema)]
struct AccountView {
    /// Tenant of the account.
    tenant: String,
    /// Its object id.
    object_id: String,
    /// The name to sign in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    /// App roles of the department, which the account has.
    app_roles: Vec<String>,
    /// Whether something is still to be done about it.
    is_in_sync: bool,
}

impl Profile {
    pub(super) async fn new(api: &Api, person: Person) -> Result<Self, Problem> {
        let shared = &api.0;
        let today = shared.calendar.day(shared.clock.now());
        let waiting = jobs::waiting_for(&shared.store, person.id.as_str()).await?;
        let settings = shared.desk.get().map(crate::provisioning::Desk::settings);
        let app_roles = settings.map(|settings| settings.app_roles(person.department.as_str()));
        Ok(Self {
            active: person.active_on(today),
            account: AccountView {
                user_name: settings.map(|settings| settings.user_name(&person).0),
                app_roles: app_roles.unwrap_or_default().to_vec(),
                tenant: person.tenant,
                object_id: person.object_id,
                is_in_sync: waiting == 0,
            },
            id: person.id.0,
            name: person.name,
            email: person.email,
            department: person.department.0,
            job_title: person.job_title,
            phone: person.phone,
            start_date: person.start.to_string(),
            end_date: person.end.map(|day| day.to_string()),
            status: if person.enabled { "active" } else { "inactive" },
            disabled: person.suspended,
        })
    }
}

/// A person as the personnel department knows him or her: the columns of a file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonValues {
    /// Full name.
    #[schema(example = "伊藤美咲")]
    name: String,
    /// E-mail address.
    #[schema(example = "misaki.ito@example.com")]
    email: String,
    /// Code or name of the department.
    #[schema(example = "sales")]
    department: String,
    /// Job title.
    #[serde(default)]
    job_title: String,
    /// Telephone.
    #[serde(default)]
    phone: String,
    /// First day of use.
    #[schema(example = "2026-04-01")]
    start_date: String,
    /// Last day of use.
    #[serde(default)]
    end_date: Option<String>,
    /// `active` or `inactive`.
    #[serde(default = "active")]
    #[schema(example = "active", default = "active")]
    status: String,
}

/// A new person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    /// The company's own id: at most 16 ASCII letters, digits, `-`, `_`, `.`.
    #[schema(example = "006")]
    pub(super) id: String,
    /// Full name.
    #[schema(example = "伊藤美咲")]
    name: String,
    /// E-mail address.
    #[schema(example = "misaki.ito@example.com")]
    email: String,
    /// Code or name of the department.
    #[schema(example = "sales")]
    department: String,
    /// Job title.
    #[serde(default)]
    job_title: String,
    /// Telephone.
    #[serde(default)]
    phone: String,
    /// First day of use.
    #[schema(example = "2026-04-01")]
    start_date: String,
    /// Last day of use.
    #[serde(default)]
    end_date: Option<String>,
    /// `active` or `inactive`.
    #[serde(default = "active")]
    #[schema(example = "active", default = "active")]
    status: String,
}

fn active() -> String {
    "active".to_owned()
}

impl PersonValues {
    /// By column.
    pub(super) fn values(self, id: String) -> Vec<(&'static str, String)> {
        vec![
            ("user_id", id),
            ("name", self.name),
            ("email", self.email),
            ("department", self.department),
            ("job_title", self.job_title),
            ("phone", self.phone),
            ("start_date", self.start_date),
            ("end_date", self.end_date.unwrap_or_default()),
            ("status", self.status),
        ]
    }
}

impl NewUser {
    /// By column.
    pub(super) fn values(self) -> Vec<(&'static str, String)> {
        let values = PersonValues {
            name: self.name,
            email: self.email,
            department: self.department,
            job_title: self.job_title,
            phone: self.phone,
            start_date: self.start_date,
            end_date: self.end_date,
            status: self.status,
        };
        values.values(self.id)
    }
}
