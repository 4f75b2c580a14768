//! Who may call what: one table.
//!
//! An operation that stands in no row is open to nobody. [`authorise`](super::access::authorise)
//! asks the table before anything else of a request is read; how far a caller reaches in an
//! operation is what the endpoint gets, as a [`Reach`](super::access::Reach).

use std::fmt::Write as _;

use sekisho_scope::Principal;

use Bound::{Everything, Own, OwnDepartment};
use Role::{Administrator, Anybody, Auditor, DepartmentManager, Recorder, User};

/// In what capacity somebody calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads and changes everything.
    Administrator,
    /// Reads everything.
    Auditor,
    /// Reads about the own department, and manages its subscription keys.
    DepartmentManager,
    /// A person of the directory who has signed in.
    User,
    /// Puts events of other systems on record.
    Recorder,
    /// Whoever calls, also without a credential.
    Anybody,
}

impl Role {
    /// Every role, in the order of the table in the docs.
    pub const ALL: [Self; 6] = [
        Administrator,
        Auditor,
        DepartmentManager,
        User,
        Recorder,
        Anybody,
    ];

    /// The app role of the token that makes somebody this; `None`: none does.
    #[must_use]
    pub const fn claim(self) -> Option<&'static str> {
        match self {
            Administrator => Some("Sekisho.Administrator"),
            Auditor => Some("Sekisho.Auditor"),
            DepartmentManager => Some("Sekisho.DepartmentManager"),
            Recorder => Some("Sekisho.Recorder"),
            User | Anybody => None,
        }
    }

    /// Whether the caller is that.
    pub(super) fn is_of(self, principal: &Principal) -> bool {
        let claims = |claim| principal.roles.iter().any(|held| held == claim);
        match self {
            Anybody => true,
            // A subscription key is no person, whoever it belongs to.
            User => principal.user.is_some() && principal.key.is_none(),
            // Whose department is not known manages none.
            DepartmentManager => principal.department.is_some() && self.claim().is_some_and(claims),
            Administrator | Auditor | Recorder => self.claim().is_some_and(claims),
        }
    }
}

/// How far a role reaches in an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Over all that there is.
    Everything,
    /// Over what is of the caller's department.
    OwnDepartment,
    /// Over what is of the caller.
    Own,
}

impl Bound {
    const fn shown(self) -> &'static str {
        match self {
            Everything => "yes",
            OwnDepartment => "own department",
            Own => "own",
        }
    }
}

/// Who may call an operation.
pub type Admitted = &'static [(Role, Bound)];

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// HTTP method; `HEAD` goes by `GET`.
    pub method: &'static str,
    /// Path, as in the description of the API.
    pub path: &'static str,
    /// Who may call it.
    pub admitted: Admitted,
}

const fn rule(method: &'static str, path: &'static str, admitted: Admitted) -> Rule {
    Rule {
        method,
        path,
        admitted,
    }
}

const OPEN: Admitted = &[(Anybody, Everything)];
/// Everybody hears whether it works, and who may read everything, how.
const STATE: Admitted = &[
    (Administrator, Everything),
    (Auditor, Everything),
    (Anybody, Own),
];
const CHANGE: Admitted = &[(Administrator, Everything)];
const CHANGE_OF_DEPARTMENT: Admitted = &[
    (Administrator, Everything),
    (DepartmentManager, OwnDepartment),
];
const CHANGE_OWN: Admitted = &[
    (Administrator, Everything),
    (DepartmentManager, OwnDepartment),
    (User, Own),
];
const READ: Admitted = &[(Administrator, Everything), (Auditor, Everything)];
/// Whoever runs the installation need not know what people write.
const READ_CONTENTS: Admitted = &[(Auditor, Everything)];
const READ_OF_DEPARTMENT: Admitted = &[
    (Administrator, Everything),
    (Auditor, Everything),
    (DepartmentManager, OwnDepartment),
];
const READ_OWN: Admitted = &[
    (Administrator, Everything),
    (Auditor, Everything),
    (DepartmentManager, OwnDepartment),
    (User, Own),
];
const ONESELF: Admitted = &[(User, Own)];
/// What is the same for everybody who has signed in.
const PERSON: Admitted = &[(User, Everything)];
const RECORD: Admitted = &[(Administrator, Everything), (Recorder, Everything)];

/// Every operation of the API.
pub const TABLE: &[Rule] = &[
    rule("GET", "/", OPEN),
    rule("GET", "/v1/openapi.json", OPEN),
    rule("GET", "/v1/system/health", STATE),
    rule("GET", "/v1/system/settings", READ),
    rule("PUT", "/v1/system/settings", CHANGE),
    rule("GET", "/v1/system/settings/history", READ),
    rule("GET", "/v1/departments", READ_OF_DEPARTMENT),
    rule("POST", "/v1/departments", CHANGE),
    rule("GET", "/v1/departments/{departmentId}", READ_OF_DEPARTMENT),
    rule("PUT", "/v1/departments/{departmentId}", CHANGE),
    rule("DELETE", "/v1/departments/{departmentId}", CHANGE),
    rule(
        "GET",
        "/v1/departments/{departmentId}/history",
        READ_OF_DEPARTMENT,
    ),
    rule(
        "GET",
        "/v1/departments/{departmentId}/members",
        READ_OF_DEPARTMENT,
    ),
    rule(
        "PUT",
        "/v1/departments/{departmentId}/members/{userId}",
        CHANGE,
    ),
    rule("GET", "/v1/titles", READ),
    rule("POST", "/v1/titles", CHANGE),
    rule("GET", "/v1/titles/{titleId}", READ),
    rule("PUT", "/v1/titles/{titleId}", CHANGE),
    rule("DELETE", "/v1/titles/{titleId}", CHANGE),
    rule("GET", "/v1/titles/{titleId}/history", READ),
    rule("GET", "/v1/titles/{titleId}/members", READ),
    rule("PUT", "/v1/titles/{titleId}/members/{userId}", CHANGE),
    rule("DELETE", "/v1/titles/{titleId}/members/{userId}", CHANGE),
    rule("GET", "/v1/departments/usage/summary", READ),
    rule(
        "GET",
        "/v1/departments/{departmentId}/usage",
        READ_OF_DEPARTMENT,
    ),
    rule("POST", "/v1/audit/logs", RECORD),
    rule("GET", "/v1/audit/logs/report", READ),
    rule("GET", "/v1/audit/logs/search", READ),
    rule("GET", "/v1/audit/logs/{recordId}/contents", READ_CONTENTS),
    rule("GET", "/v1/provisioning/jobs", READ),
    rule("GET", "/v1/provisioning/jobs/{jobId}", READ),
    rule("GET", "/v1/provisioning/jobs/{jobId}/tasks", READ),
    rule("POST", "/v1/provisioning/jobs/{jobId}/apply", CHANGE),
    rule("POST", "/v1/provisioning/jobs/{jobId}/cancel", CHANGE),
    rule("POST", "/v1/provisioning/jobs/{jobId}/retry", CHANGE),
    rule("GET", "/v1/notifications/email", READ),
    rule("POST", "/v1/notifications/email", CHANGE),
    rule("POST", "/v1/notifications/email/{mailId}/retry", CHANGE),
    rule("GET", "/v1/notifications/push", READ),
    rule("POST", "/v1/notifications/push", CHANGE),
    rule("GET", "/v1/notifications/push/key", PERSON),
    rule("POST", "/v1/notifications/push/{pushId}/retry", CHANGE),
    // Whoever has the link.
    rule("GET", "/v1/notices/{noticeId}", OPEN),
    rule("POST", "/v1/notices/{noticeId}", OPEN),
    rule("GET", "/v1/users", READ_OF_DEPARTMENT),
    rule("POST", "/v1/users", CHANGE),
    rule("GET", "/v1/users/me", ONESELF),
    rule("GET", "/v1/users/me/push-subscriptions", ONESELF),
    rule("POST", "/v1/users/me/push-subscriptions", ONESELF),
    rule(
        "DELETE",
        "/v1/users/me/push-subscriptions/{subscriptionId}",
        ONESELF,
    ),
    rule("POST", "/v1/users/csv/upload", CHANGE),
    // Everybody's address and phone in one file, ready to be edited and sent back.
    rule("GET", "/v1/users/csv/download", CHANGE),
    rule("GET", "/v1/users/sync/status", READ),
    rule("GET", "/v1/users/{userId}", READ_OWN),
    rule("PUT", "/v1/users/{userId}", CHANGE),
    rule("DELETE", "/v1/users/{userId}", CHANGE),
    rule("GET", "/v1/users/{userId}/usage", READ_OWN),
    rule("POST", "/v1/users/{userId}/password/reset", CHANGE),
    rule("POST", "/v1/users/{userId}/unlock", CHANGE),
    rule("PUT", "/v1/users/{userId}/disable", CHANGE),
    rule("PUT", "/v1/users/{userId}/enable", CHANGE),
    rule("POST", "/v1/users/{userId}/sessions/revoke", CHANGE),
    rule("POST", "/v1/azuread/sync/start", CHANGE),
    rule("GET", "/v1/azuread/sync/status", READ),
    rule("GET", "/v1/azuread/groups", READ),
    rule("POST", "/v1/azuread/groups/{groupId}/members", CHANGE),
    rule(
        "DELETE",
        "/v1/azuread/groups/{groupId}/members/{userId}",
        CHANGE,
    ),
    rule("GET", "/v1/apikeys", READ_OWN),
    rule("POST", "/v1/apikeys", CHANGE_OF_DEPARTMENT),
    rule("GET", "/v1/apikeys/{apiKey}", READ_OWN),
    rule("PATCH", "/v1/apikeys/{apiKey}", CHANGE_OF_DEPARTMENT),
    rule("POST", "/v1/apikeys/{apiKey}/rotate", CHANGE_OWN),
    rule("PUT", "/v1/apikeys/{apiKey}/revoke", CHANGE_OWN),
    rule("GET", "/v1/apikeys/{apiKey}/usage", READ_OWN),
    rule("GET", "/v1/alerts", READ),
    rule("GET", "/v1/alerts/{alertId}", READ),
    rule("PUT", "/v1/alerts/{alertId}/acknowledge", CHANGE),
    rule("GET", "/v1/budget-events", READ),
    rule("GET", "/v1/budgets", READ_OF_DEPARTMENT),
    rule("GET", "/v1/budgets/{budgetId}", READ_OF_DEPARTMENT),
    rule("PUT", "/v1/budgets/{budgetId}", CHANGE),
    rule("DELETE", "/v1/budgets/{budgetId}", CHANGE),
    rule("GET", "/v1/budgets/{budgetId}/history", READ_OF_DEPARTMENT),
];

/// Who may call an operation; `None`: it has no row.
pub(super) fn admitted(method: &str, path: &str) -> Option<Admitted> {
    let method = if method == "HEAD" { "GET" } else { method };
    let mut rows = TABLE.iter();
    let row = rows.find(|rule| rule.method == method && rule.path == path)?;
    Some(row.admitted)
}

/// The table as it stands in `docs/roles.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| operation | administrator | auditor | department manager | user | recorder | anybody |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for rule in TABLE {
        let _ = write!(text, "| `{} {}` |", rule.method, rule.path);
        for role in Role::ALL {
            let mut admitted = rule.admitted.iter();
            let bound = admitted.find(|(admitted, _)| *admitted == role);
            let shown = match bound {
                Some((Anybody, Own)) => "whether it works",
                Some((_, bound)) => bound.shown(),
                None => "",
            };
            let _ = write!(text, " {shown} |");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_docs_is_the_one_of_the_code() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/roles.md");
        let found = std::fs::read_to_string(file).unwrap();
        let (before, _) = found.split_once("| operation |").unwrap();
        let current = format!("{before}{}", markdown());
        if std::env::var_os("SEKISHO_UPDATE").is_some() {
            std::fs::write(file, current).unwrap();
            return;
        }
        let how = "run SEKISHO_UPDATE=1 cargo test -p sekisho the_table_of_the_docs";
        assert_eq!(found, current, "{how}");
    }
}
