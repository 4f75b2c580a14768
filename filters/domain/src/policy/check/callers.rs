//! Who may call from where, with which second factor, and what narrows it.

use std::collections::{HashMap, HashSet};

use super::Check;
use crate::policy::raw::{RawDepartment, RawScopeMfa, RawTitle};
use crate::policy::{Department, Mfa, ScopeMfa, Title};
use crate::{DepartmentId, Network, ScopeSet, TitleId};

type Departments = HashMap<DepartmentId, Department>;
type Groups = Vec<(String, DepartmentId)>;

impl Check<'_> {
    pub(super) fn departments(&mut self, raw: Vec<RawDepartment>) -> (Departments, Groups) {
        let mut seen = HashSet::new();
        let mut names = HashSet::new();
        let mut grouped = HashSet::new();
        let mut departments = HashMap::new();
        let mut groups = Vec::new();
        for (at, department) in raw.into_iter().enumerate() {
            let path = format!("departments[{at}]");
            self.name(&format!("{path}.id"), &department.id);
            self.unique(&mut seen, &format!("{path}.id"), &department.id);
            self.unique(&mut names, &format!("{path}.name"), &department.name);
            let entitlements = match department.entitlements {
                None => ScopeSet::ALL,
                Some(list) => self.entitlements(&path, &list),
            };
            let networks = self.networks(&format!("{path}.networks"), department.networks);
            let regions = self.department_regions(&path, department.regions);
            let id = DepartmentId(department.id);
            for (g, group) in department.groups.into_iter().enumerate() {
                let path = format!("{path}.groups[{g}]");
                if group.is_empty() {
                    self.problem(path.as_str(), "must be the object id of a group");
                }
                let group = group.to_ascii_lowercase();
                self.unique(&mut grouped, &path, &group);
                groups.push((group, id.clone()));
            }
            departments.insert(
                id.clone(),
                Department {
                    id,
                    name: department.name,
                    entitlements,
                    networks,
                    regions,
                },
            );
        }
        (departments, groups)
    }

    pub(super) fn titles(&mut self, raw: Vec<RawTitle>) -> HashMap<TitleId, Title> {
        let mut seen = HashSet::new();
        let mut names = HashSet::new();
        let mut titles = HashMap::new();
        for (at, title) in raw.into_iter().enumerate() {
            let path = format!("titles[{at}]");
            self.name(&format!("{path}.id"), &title.id);
            self.unique(&mut seen, &format!("{path}.id"), &title.id);
            self.unique(&mut names, &format!("{path}.name"), &title.name);
            let entitlements = self.entitlements(&path, &title.entitlements);
            let id = TitleId(title.id);
            titles.insert(
                id.clone(),
                Title {
                    id,
                    name: title.name,
                    entitlements,
                },
            );
        }
        titles
    }

    pub(super) fn scope_mfa(&mut self, raw: Vec<RawScopeMfa>) -> Vec<ScopeMfa> {
        let mut seen = HashSet::new();
        let mut rules = Vec::new();
        for (at, rule) in raw.into_iter().enumerate() {
            let path = format!("mfa[{at}]");
            self.scope(&format!("{path}.scope"), &rule.scope);
            self.unique(&mut seen, &format!("{path}.scope"), &rule.scope);
            let context = format!("{path}.authentication_context");
            rules.push(ScopeMfa {
                scopes: self.scopes.granted_by(&rule.scope),
                mfa: self.mfa(&context, rule.authentication_context),
            });
        }
        rules
    }

    pub(super) fn mfa(&mut self, path: &str, context: Option<String>) -> Mfa {
        if let Some(context) = &context {
            self.name(path, context);
        }
        Mfa { context }
    }

    /// An empty list would refuse everybody, and reads as if it allowed everybody.
    pub(super) fn applications(
        &mut self,
        path: &str,
        raw: Option<Vec<String>>,
    ) -> Option<HashSet<String>> {
        let raw = raw?;
        if raw.is_empty() || raw.iter().any(String::is_empty) {
            self.problem(
                path,
                "must name at least one client id; leave it out to allow all",
            );
        }
        let mut seen = HashSet::new();
        for (at, application) in raw.into_iter().enumerate() {
            let application = application.to_ascii_lowercase();
            self.unique(&mut seen, &format!("{path}[{at}]"), &application);
        }
        Some(seen)
    }

    pub(super) fn networks(&mut self, path: &str, raw: Option<Vec<String>>) -> Vec<Network> {
        let Some(raw) = raw else {
            return Vec::new();
        };
        if raw.is_empty() {
            self.problem(
                path,
                "must name at least one network; leave it out to allow all",
            );
        }
        let mut networks = Vec::new();
        for (at, text) in raw.iter().enumerate() {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(error) => self.problem(format!("{path}[{at}]"), format!("`{text}` {error}")),
            }
        }
        networks
    }

    fn entitlements(&mut self, path: &str, list: &[String]) -> ScopeSet {
        for (at, scope) in list.iter().enumerate() {
            self.scope(&format!("{path}.entitlements[{at}]"), scope);
        }
        self.scopes.granted_by_all(list.iter().map(String::as_str))
    }
}
