//! A tenant: its users, groups and applications.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::operation::{Operation, Query};

/// Most entries of a page that is not told how many.
const PAGE: usize = 100;

/// A user.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// In which order it was made: pages come in it.
    number: u64,
    members: Map<String, Value>,
    /// From when on it is found, milliseconds since 1970.
    visible_from: u64,
    pub(crate) sessions_revoked: u64,
}

/// A group.
#[derive(Clone, Debug, Default)]
struct Group {
    members: Map<String, Value>,
    users: BTreeSet<String>,
}

/// A role that somebody has.
#[derive(Clone, Debug)]
struct Assignment {
    principal: String,
    resource: String,
    role: String,
}

/// Everything that is stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    users: BTreeMap<String, User>,
    /// Ids by user name, lower case.
    names: BTreeMap<String, String>,
    groups: BTreeMap<String, Group>,
    principals: Vec<Value>,
    assignments: BTreeMap<String, Assignment>,
    made: u64,
    /// Domains that user names may have.
    domains: Vec<String>,
}

/// When something happens, and what is new in it.
pub(crate) struct Moment {
    pub(crate) now: u64,
    pub(crate) hidden_millis: u64,
    /// A new id.
    pub(crate) id: String,
    /// Up to the version of the API.
    pub(crate) root: String,
}

impl Directory {
    pub(crate) fn new(domains: Vec<String>) -> Self {
        Self {
            domains,
            ..Self::default()
        }
    }

    pub(crate) fn add_user(&mut self, id: &str, members: Value) {
        let Value::Object(mut members) = members else {
            return;
        };
        members.insert("id".into(), id.into());
        self.names.insert(name(&members), id.to_owned());
        let user = User {
            number: self.made,
            members,
            visible_from: 0,
            sessions_revoked: 0,
        };
        self.made += 1;
        self.users.insert(id.to_owned(), user);
    }

    pub(crate) fn add_group(&mut self, id: &str, name: &str, members: Value) {
        let mut group = Group::default();
        group.members.insert("id".into(), id.into());
        group.members.insert("displayName".into(), name.into());
        group.members.insert("description".into(), Value::Null);
        group.members.insert("groupTypes".into(), json!([]));
        group.members.insert("securityEnabled".into(), true.into());
        group
            .members
            .insert("onPremisesSyncEnabled".into(), Value::Null);
        if let Value::Object(more) = members {
            group.members.extend(more);
        }
        self.groups.insert(id.to_owned(), group);
    }

    /// An application, and its roles as id and value.
    pub(crate) fn add_application(&mut self, id: &str, app_id: &str, roles: &[(&str, &str)]) {
        let roles = roles.iter().map(|(id, value)| {
            json!({"id": id, "value": value, "displayName": value, "description": value,
                   "isEnabled": true, "allowedMemberTypes": ["User", "Application"],
                   "origin": "Application"})
        });
        let roles: Vec<Value> = roles.collect();
        let principal = json!({"id": id, "appId": app_id, "displayName": "api", "appRoles": roles});
        self.principals.push(principal);
    }

    /// As somebody would by hand. Unknown user: nothing happens.
    pub(crate) fn set(&mut self, id: &str, members: Value) {
        if let (Some(user), Value::Object(members)) = (self.users.get_mut(id), members) {
            user.members.extend(members);
        }
    }

    /// Every user, with its groups and the values of its roles.
    pub(crate) fn users(&self) -> Vec<Value> {
        let shown = self.users.iter().map(|(id, user)| {
            let mut shown = user.members.clone();
            shown.remove("passwordProfile");
            let groups = self
                .groups
                .iter()
                .filter(|(_, group)| group.users.contains(id));
            let groups: Vec<&String> = groups.map(|(group, _)| group).collect();
            let roles = self.assignments.values().filter(|a| a.principal == *id);
            let roles: Vec<&String> = roles.map(|assignment| &assignment.role).collect();
            shown.insert("groups".into(), json!(groups));
            shown.insert("appRoleIds".into(), json!(roles));
            shown.insert("sessionsRevoked".into(), user.sessions_revoked.into());
            Value::Object(shown)
        });
        shown.collect()
    }

    /// The password of a user.
    pub(crate) fn password(&self, id: &str) -> Option<String> {
        let user = self.users.get(id)?;
        let profile = user.members.get("passwordProfile")?;
        Some(profile.get("password")?.as_str()?.to_owned())
    }

    /// Carries a call out. Nothing is changed unless the answer is 2xx.
    pub(crate) fn carry_out(
        &mut self,
        operation: &Operation,
        query: &Query,
        body: &Value,
        moment: &Moment,
    ) -> Answer {
        match operation {
            Operation::UserCreate => self.create(body, moment),
            Operation::UserList => self.list(query, moment),
            Operation::UserGet(user) => match self.find(user, moment.now) {
                Some((_, user)) => Answer::new(200, selected(&user.members, query)),
                None => Answer::missing(user),
            },
            Operation::UserUpdate(user) => self.update(user, body, moment),
            Operation::UserDelete(user) => self.delete(user, moment),
            Operation::RevokeSessions(user) => match self.id(user, moment.now) {
                Some(id) => {
                    if let Some(user) = self.users.get_mut(&id) {
                        user.sessions_revoked += 1;
                    }
                    Answer::new(200, json!({"value": true}))
                }
                None => Answer::missing(user),
            },
            Operation::MemberOf(user) => match self.id(user, moment.now) {
                Some(id) => {
                    let groups = self
                        .groups
                        .values()
                        .filter(|group| group.users.contains(&id));
                    let groups = groups.map(|group| selected(&group.members, query));
                    let path = format!("/users/{user}/memberOf");
                    page(groups.collect(), query, &path, &moment.root)
                }
                None => Answer::missing(user),
            },
            Operation::Assignments(user) => self.assignments(user, query, moment),
            Operation::Assign(user) => self.assign(user, body, moment),
            Operation::Unassign(user, assignment) => {
                let of = |a: &Assignment| Some(a.principal.clone()) == self.id(user, moment.now);
                if self.assignments.get(assignment).is_some_and(of) {
                    self.assignments.remove(assignment);
                    return Answer::nothing();
                }
                Answer::missing(assignment)
            }
            Operation::GroupList => {
                let groups = self
                    .groups
                    .values()
                    .map(|group| selected(&group.members, query));
                page(groups.collect(), query, "/groups", &moment.root)
            }
            Operation::Members(group) => match self.groups.get(group) {
                Some(found) => {
                    let users = found.users.iter().filter_map(|id| self.users.get(id));
                    let users = users.map(|user| selected(&user.members, query));
                    let path = format!("/groups/{group}/members");
                    page(users.collect(), query, &path, &moment.root)
                }
                None => Answer::missing(group),
            },
            Operation::MemberAdd(group) => self.join(group, body, moment),
            Operation::MemberRemove(group, member) => match self.groups.get_mut(group) {
                Some(found) if found.users.contains(member) => {
                    if let Some(refusal) = unchangeable(found) {
                        return refusal;
                    }
                    found.users.remove(member);
                    Answer::nothing()
                }
                _ => Answer::missing(member),
            },
            Operation::Principals => {
                let wanted = query.filter.as_ref().map(|(_, value)| value.as_str());
                let of = |principal: &&Value| {
                    wanted.is_none_or(|wanted| principal.get("appId") == Some(&json!(wanted)))
                };
                let found = self
                    .principals
                    .iter()
                    .filter(of)
                    .filter_map(Value::as_object);
                let found = found.map(|principal| selected(principal, query));
                page(found.collect(), query, "/servicePrincipals", &moment.root)
            }
            Operation::Batch => Answer::error(400, "BadRequest", "no batch in a batch"),
        }
    }

    /// A user that can be found by now, by id or name.
    fn find(&self, user: &str, now: u64) -> Option<(&String, &User)> {
        let id = self.names.get(&user.to_lowercase());
        let id = id.map_or(user, String::as_str);
        let found = self.users.get_key_value(id);
        found.filter(|(_, user)| user.visible_from <= now)
    }

    fn id(&self, user: &str, now: u64) -> Option<String> {
        self.find(user, now).map(|(id, _)| id.clone())
    }

    fn create(&mut self, body: &Value, moment: &Moment) -> Answer {
        let Some(body) = body.as_object() else {
            return Answer::invalid("user", "a user is an object");
        };
        if let Some(refusal) = self.refusal(body, None) {
            return refusal;
        }
        let mut members = body.clone();
        members.insert("id".into(), moment.id.clone().into());
        for member in ["employeeId", "department", "jobTitle", "mail"] {
            members.entry(member).or_insert(Value::Null);
        }
        for member in ["businessPhones", "otherMails"] {
            members.entry(member).or_insert(json!([]));
        }
        let mut shown = members.clone();
        shown.remove("passwordProfile");
        self.names.insert(name(&members), moment.id.clone());
        let user = User {
            number: self.made,
            members,
            visible_from: moment.now.saturating_add(moment.hidden_millis),
            sessions_revoked: 0,
        };
        self.made += 1;
        self.users.insert(moment.id.clone(), user);
        Answer::new(201, Value::Object(shown))
    }

    fn update(&mut self, user: &str, body: &Value, moment: &Moment) -> Answer {
        let (Some(id), Some(body)) = (self.id(user, moment.now), body.as_object()) else {
            return Answer::missing(user);
        };
        if let Some(refusal) = self.refusal(body, Some(&id)) {
            return refusal;
        }
        if let Some(found) = self.users.get_mut(&id) {
            self.names.remove(&name(&found.members));
            found.members.extend(body.clone());
            self.names.insert(name(&found.members), id);
        }
        Answer::nothing()
    }

    fn delete(&mut self, user: &str, moment: &Moment) -> Answer {
        let Some(id) = self.id(user, moment.now) else {
            return Answer::missing(user);
        };
        if let Some(gone) = self.users.remove(&id) {
            self.names.remove(&name(&gone.members));
        }
        for group in self.groups.values_mut() {
            group.users.remove(&id);
        }
        self.assignments
            .retain(|_, assignment| assignment.principal != id);
        Answer::nothing()
    }

    /// Why the members cannot be written, if so: of a new user, or of `id`.
    fn refusal(&self, body: &Map<String, Value>, id: Option<&str>) -> Option<Answer> {
        let text = |member: &str| body.get(member).and_then(Value::as_str);
        if let Some(wanted) = text("userPrincipalName") {
            let domain = wanted
                .split_once('@')
                .map(|(_, domain)| domain.to_lowercase());
            if !self
                .domains
                .iter()
                .any(|known| Some(known) == domain.as_ref())
            {
                let message = "The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain names in your organization.";
                return Some(Answer::invalid("userPrincipalName", message));
            }
            let owner = self.names.get(&wanted.to_lowercase());
            if owner.is_some_and(|owner| Some(owner.as_str()) != id) {
                return Some(Answer::conflict("userPrincipalName"));
            }
        }
        let profile = body.get("passwordProfile")?;
        let password = profile.get("password")?.as_str()?;
        let classes: [fn(char) -> bool; 4] = [
            |c| c.is_ascii_lowercase(),
            |c| c.is_ascii_uppercase(),
            |c| c.is_ascii_digit(),
            |c| c.is_ascii_punctuation(),
        ];
        let found = classes.iter().filter(|class| password.chars().any(**class));
        (found.count() < 3).then(|| {
            let message = "The specified password does not comply with password complexity requirements. Please provide a different password.";
            Answer::error(400, "Request_BadRequest", message)
        })
    }

    fn list(&self, query: &Query, moment: &Moment) -> Answer {
        let mut users: Vec<&User> = self.users.values().collect();
        users.retain(|user| user.visible_from <= moment.now);
        if let Some((member, value)) = &query.filter {
            users.retain(|user| user.members.get(member) == Some(&json!(value)));
        }
        users.sort_by_key(|user| user.number);
        let users = users.into_iter().map(|user| selected(&user.members, query));
        page(users.collect(), query, "/users", &moment.root)
    }

    fn join(&mut self, group: &str, body: &Value, moment: &Moment) -> Answer {
        let reference = body.get("@odata.id").and_then(Value::as_str);
        let member = reference
            .and_then(|url| url.rsplit_once('/'))
            .map(|(_, id)| id);
        let member = member.and_then(|member| self.id(member, moment.now));
        let (Some(found), Some(member)) = (self.groups.get_mut(group), member) else {
            return Answer::missing(group);
        };
        if let Some(refusal) = unchangeable(found) {
            return refusal;
        }
        if !found.users.insert(member) {
            let message = "One or more added object references already exist for the following modified properties: 'members'.";
            return Answer::error(400, "Request_BadRequest", message);
        }
        Answer::nothing()
    }

    fn assignments(&self, user: &str, query: &Query, moment: &Moment) -> Answer {
        let Some(id) = self.id(user, moment.now) else {
            return Answer::missing(user);
        };
        let held = self
            .assignments
            .iter()
            .filter(|(_, held)| held.principal == id);
        let held = held.map(|(assignment, held)| shown(assignment, held));
        let path = format!("/users/{user}/appRoleAssignments");
        page(held.collect(), query, &path, &moment.root)
    }

    fn assign(&mut self, user: &str, body: &Value, moment: &Moment) -> Answer {
        let Some(id) = self.id(user, moment.now) else {
            return Answer::missing(user);
        };
        let text = |member: &str| {
            let value = body.get(member).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let wanted = Assignment {
            principal: text("principalId"),
            resource: text("resourceId"),
            role: text("appRoleId"),
        };
        if wanted.principal != id {
            return Answer::invalid("principalId", "it is not the user of the path");
        }
        let resource = self.principals.iter();
        let mut resource = resource.filter(|one| one.get("id") == Some(&json!(wanted.resource)));
        let has_role = resource.any(|one| {
            let roles = one.get("appRoles").and_then(Value::as_array);
            let mut roles = roles.into_iter().flatten();
            roles.any(|role| role.get("id") == Some(&json!(wanted.role)))
        });
        if !has_role {
            return Answer::invalid("appRoleId", "Not a valid reference update.");
        }
        let mut held = self.assignments.values();
        let same = |held: &Assignment| held.principal == id && held.role == wanted.role;
        if held.any(same) {
            let message = "Permission being assigned already exists on the object";
            return Answer::error(400, "Request_BadRequest", message);
        }
        let answer = Answer::new(201, shown(&moment.id, &wanted));
        self.assignments.insert(moment.id.clone(), wanted);
        answer
    }
}

fn name(members: &Map<String, Value>) -> String {
    let name = members.get("userPrincipalName").and_then(Value::as_str);
    name.unwrap_or_default().to_lowercase()
}

fn shown(id: &str, assignment: &Assignment) -> Value {
    json!({"id": id, "principalId": assignment.principal, "resourceId": assignment.resource,
           "appRoleId": assignment.role, "principalType": "User"})
}

/// Why members of a group cannot be changed here, if so.
fn unchangeable(group: &Group) -> Option<Answer> {
    let types = group.members.get("groupTypes").and_then(Value::as_array);
    let mut types = types.into_iter().flatten();
    if types.any(|kind| kind == "DynamicMembership") {
        let message = "Insufficient privileges to complete the operation.";
        return Some(Answer::error(403, "Authorization_RequestDenied", message));
    }
    (group.members.get("onPremisesSyncEnabled") == Some(&json!(true))).then(|| {
        let message = "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.";
        Answer::error(400, "Request_BadRequest", message)
    })
}

/// What was selected of an object; without a selection what Graph shows by default.
fn selected(members: &Map<String, Value>, query: &Query) -> Value {
    let default = ["id", "displayName", "userPrincipalName", "jobTitle", "mail"];
    let shown = members
        .iter()
        .filter(|(name, _)| match query.select.as_slice() {
            [] => default.contains(&name.as_str()),
            select => select.contains(name),
        });
    Value::Object(
        shown
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

fn page(entries: Vec<Value>, query: &Query, path: &str, root: &str) -> Answer {
    let top = query.top.unwrap_or(PAGE);
    let total = entries.len();
    let entries: Vec<Value> = entries.into_iter().skip(query.skip).take(top).collect();
    let next = query.skip.saturating_add(entries.len());
    let mut body = json!({"@odata.context": format!("{root}/$metadata#x"), "value": entries});
    if next < total {
        let mut link = format!("{root}{path}?$top={top}&$skiptoken={next}");
        if !query.select.is_empty() {
            link.push_str("&$select=");
            link.push_str(&query.select.join(","));
        }
        if let Some(body) = body.as_object_mut() {
            body.insert("@odata.nextLink".into(), link.into());
        }
    }
    Answer::new(200, body)
}
