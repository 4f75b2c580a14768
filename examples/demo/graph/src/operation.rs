//! The operations that the stand-in has, and how each may be asked.

use url::form_urlencoded;

use crate::schema::Body;

/// Something that can be asked, with the ids of its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    UserCreate,
    UserList,
    UserGet(String),
    UserUpdate(String),
    UserDelete(String),
    RevokeSessions(String),
    MemberOf(String),
    Assignments(String),
    Assign(String),
    Unassign(String, String),
    GroupList,
    Members(String),
    MemberAdd(String),
    MemberRemove(String, String),
    Principals,
    Batch,
}

impl Operation {
    /// Method and path template, as the published description has it.
    pub(crate) const fn template(&self) -> (&'static str, &'static str) {
        match self {
            Self::UserCreate => ("POST", "/users"),
            Self::UserList => ("GET", "/users"),
            Self::UserGet(_) => ("GET", "/users/{user-id}"),
            Self::UserUpdate(_) => ("PATCH", "/users/{user-id}"),
            Self::UserDelete(_) => ("DELETE", "/users/{user-id}"),
            Self::RevokeSessions(_) => ("POST", "/users/{user-id}/revokeSignInSessions"),
            Self::MemberOf(_) => ("GET", "/users/{user-id}/memberOf"),
            Self::Assignments(_) => ("GET", "/users/{user-id}/appRoleAssignments"),
            Self::Assign(_) => ("POST", "/users/{user-id}/appRoleAssignments"),
            Self::Unassign(..) => (
                "DELETE",
                "/users/{user-id}/appRoleAssignments/{appRoleAssignment-id}",
            ),
            Self::GroupList => ("GET", "/groups"),
            Self::Members(_) => ("GET", "/groups/{group-id}/members"),
            Self::MemberAdd(_) => ("POST", "/groups/{group-id}/members/$ref"),
            Self::MemberRemove(..) => (
                "DELETE",
                "/groups/{group-id}/members/{directoryObject-id}/$ref",
            ),
            Self::Principals => ("GET", "/servicePrincipals"),
            Self::Batch => ("POST", "/$batch"),
        }
    }

    /// What it takes for a body.
    pub(crate) const fn body(&self) -> Option<Body> {
        match self {
            Self::UserCreate => Some(Body::UserCreate),
            Self::UserUpdate(_) => Some(Body::UserUpdate),
            Self::MemberAdd(_) => Some(Body::MemberReference),
            Self::Assign(_) => Some(Body::AppRoleAssignment),
            Self::Batch => Some(Body::Batch),
            _ => None,
        }
    }

    /// Options of the query that it knows, and what may be selected.
    const fn options(&self) -> (&'static [&'static str], &'static [&'static str]) {
        const LIST: &[&str] = &["$select", "$top", "$skiptoken"];
        const FOUND: &[&str] = &["$select", "$top", "$skiptoken", "$filter"];
        match self {
            Self::UserList => (FOUND, USER),
            Self::UserGet(_) => (&["$select"], USER),
            Self::MemberOf(_) | Self::Members(_) => (LIST, &["id", "displayName"]),
            Self::Assignments(_) => (LIST, &["id", "appRoleId", "principalId", "resourceId"]),
            Self::GroupList => (LIST, GROUP),
            Self::Principals => (FOUND, &["id", "appId", "displayName", "appRoles"]),
            _ => (&[], &[]),
        }
    }

    /// Whether it changes anything.
    pub(crate) fn is_change(&self) -> bool {
        self.template().0 != "GET" && *self != Self::Batch
    }
}

/// Members of a user that can be selected here.
const USER: &[&str] = &[
    "id",
    "employeeId",
    "userPrincipalName",
    "mailNickname",
    "displayName",
    "mail",
    "otherMails",
    "department",
    "jobTitle",
    "businessPhones",
    "accountEnabled",
];
/// Members of a group that can be selected here.
const GROUP: &[&str] = &[
    "id",
    "displayName",
    "description",
    "groupTypes",
    "securityEnabled",
    "onPremisesSyncEnabled",
];

/// The options of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) select: Vec<String>,
    pub(crate) top: Option<usize>,
    pub(crate) skip: usize,
    /// Member and value of `MEMBER eq 'VALUE'`.
    pub(crate) filter: Option<(String, String)>,
}

/// What is asked, or what is wrong with it.
pub(crate) fn read(method: &str, target: &str) -> Result<(Operation, Query), String> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let segments: Option<Vec<String>> = path
        .strip_prefix('/')
        .map(|path| path.split('/').map(decoded).collect());
    let segments = segments.unwrap_or_default();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let id = |id: &&str| (*id).to_owned();
    let operation = match (method, segments.as_slice()) {
        ("POST", ["$batch"]) => Operation::Batch,
        ("POST", ["users"]) => Operation::UserCreate,
        ("GET", ["users"]) => Operation::UserList,
        ("GET", ["users", user]) => Operation::UserGet(id(user)),
        ("PATCH", ["users", user]) => Operation::UserUpdate(id(user)),
        ("DELETE", ["users", user]) => Operation::UserDelete(id(user)),
        ("POST", ["users", user, "revokeSignInSessions"]) => Operation::RevokeSessions(id(user)),
        ("GET", ["users", user, "memberOf"]) => Operation::MemberOf(id(user)),
        ("GET", ["users", user, "appRoleAssignments"]) => Operation::Assignments(id(user)),
        ("POST", ["users", user, "appRoleAssignments"]) => Operation::Assign(id(user)),
        ("DELETE", ["users", user, "appRoleAssignments", one]) => {
            Operation::Unassign(id(user), id(one))
        }
        ("GET", ["groups"]) => Operation::GroupList,
        ("GET", ["groups", group, "members"]) => Operation::Members(id(group)),
        ("POST", ["groups", group, "members", "$ref"]) => Operation::MemberAdd(id(group)),
        ("DELETE", ["groups", group, "members", member, "$ref"]) => {
            Operation::MemberRemove(id(group), id(member))
        }
        ("GET", ["servicePrincipals"]) => Operation::Principals,
        _ => return Err("there is no such operation here".to_owned()),
    };
    let query = options(&operation, query)?;
    Ok((operation, query))
}

fn options(operation: &Operation, query: &str) -> Result<Query, String> {
    let (known, members) = operation.options();
    let mut read = Query::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !known.contains(&name.as_ref()) {
            return Err(format!("query option `{name}` is not known here"));
        }
        match name.as_ref() {
            "$select" => {
                read.select = value.split(',').map(str::to_owned).collect();
                let mut selected = read.select.iter();
                if let Some(unknown) = selected.find(|one| !members.contains(&one.as_str())) {
                    return Err(format!("`{unknown}` cannot be selected"));
                }
            }
            "$top" => {
                let top = value.parse().ok().filter(|top| (1..=999).contains(top));
                read.top = Some(top.ok_or("`$top` must be 1 to 999")?);
            }
            "$skiptoken" => {
                read.skip = value.parse().map_err(|_| "`$skiptoken` is not mine")?;
            }
            _ => read.filter = Some(filter(&value)?),
        }
    }
    Ok(read)
}

fn filter(text: &str) -> Result<(String, String), String> {
    let wrong = || "`$filter` must be MEMBER eq 'VALUE'".to_owned();
    let (member, value) = text.split_once(" eq ").ok_or_else(wrong)?;
    let inside = value
        .strip_prefix('\'')
        .and_then(|value| value.strip_suffix('\''));
    let inside = inside.ok_or_else(wrong)?;
    if inside.replace("''", "").contains('\'') {
        return Err(wrong());
    }
    if !["employeeId", "userPrincipalName", "appId"].contains(&member) {
        return Err(format!("`{member}` cannot be filtered by"));
    }
    Ok((member.to_owned(), inside.replace("''", "'")))
}

fn decoded(segment: &str) -> String {
    // A `+` is none in a path.
    let escaped = segment.replace('+', "%2B");
    let pair = format!("x={escaped}");
    let mut pairs = form_urlencoded::parse(pair.as_bytes());
    pairs
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_graph_would_not_take_is_refused() {
        assert!(read("GET", "/users?$select=id&$top=999").is_ok());
        let (_, query) = read("GET", "/users?$filter=employeeId%20eq%20%27O%27%27N%27").unwrap();
        assert_eq!(query.filter.unwrap(), ("employeeId".into(), "O'N".into()));
        let (operation, _) = read("GET", "/users/a%23EXT%23%40x+y").unwrap();
        assert_eq!(operation, Operation::UserGet("a#EXT#@x+y".into()));
        for (method, target) in [
            ("GET", "/users?$top=1000"),
            ("GET", "/users?$top=0"),
            ("GET", "/users?$select=password"),
            ("GET", "/users?$filter=department%20eq%20%27x%27"),
            ("GET", "/users?$filter=employeeId%20eq%20%27a%27%20or%201"),
            ("GET", "/users?top=5"),
            ("PUT", "/users/1"),
            ("DELETE", "/groups/1/members/2"),
            ("POST", "/users/1/revokeSignInSessions?x=1"),
        ] {
            assert!(read(method, target).is_err(), "{method} {target}");
        }
    }
}
