//! Groups and app roles of an account: those that are managed, and no others.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::{EntraAccounts, WRITE_MEMBERS, WRITE_ROLES};
use crate::entra::call::{Call, Reply};
use crate::entra::desk::Desk;
use crate::entra::graph::Page;
use crate::entra::operations::app_role_assignments::{self, Assignment};
use crate::entra::operations::service_principal::{self, ServicePrincipal};
use crate::entra::operations::user_groups::{self, Holder};
use crate::entra::operations::{
    app_role_assign, app_role_unassign, group_member_add, group_member_remove,
};
use crate::provisioning::{Answer, ObjectId, Outcome, Place, Refusal};

impl EntraAccounts {
    pub(super) async fn place(
        &self,
        desk: &Desk,
        id: &ObjectId,
        place: &Place,
    ) -> Result<Answer, Outcome> {
        if !place.managed_groups.is_empty() || !place.groups.is_empty() {
            self.groups(desk, id, place).await?;
        }
        if !place.managed_app_roles.is_empty() || !place.app_roles.is_empty() {
            self.roles(desk, id, place).await?;
        }
        Ok(Answer::Nothing)
    }

    async fn groups(&self, desk: &Desk, id: &ObjectId, place: &Place) -> Result<(), Outcome> {
        let holders: Vec<Holder> = self
            .pages(desk, id, user_groups::call(id), WRITE_MEMBERS)
            .await?;
        let now: BTreeSet<String> = holders.into_iter().map(|h| h.id.to_lowercase()).collect();
        let (join, leave) = changes(&place.groups, &place.managed_groups, &now);
        for group in join {
            let call = group_member_add::call(&self.graph, &group, &id.0);
            let added = desk.send(call).await.and_then(group_member_add::read);
            match added {
                // Of a group that is gone, or of an account that is.
                Err(error) if error.status() == Some(404) => {
                    if self.young.is_young(id, self.graph.now()) {
                        return Err(self.missing(id, error, WRITE_MEMBERS));
                    }
                    return Err(no_group(&group));
                }
                added => added.map_err(|error| self.failed(error, WRITE_MEMBERS))?,
            }
        }
        for group in leave {
            let left = desk.send(group_member_remove::call(&group, &id.0)).await;
            match left.and_then(Reply::done) {
                // It is out already.
                Err(error) if error.status() == Some(404) => {}
                left => left.map_err(|error| self.failed(error, WRITE_MEMBERS))?,
            }
        }
        Ok(())
    }

    async fn roles(&self, desk: &Desk, id: &ObjectId, place: &Place) -> Result<(), Outcome> {
        let application = self.principal(desk).await?;
        let call = app_role_assignments::call(id);
        let held: Vec<Assignment> = self.pages(desk, id, call, WRITE_ROLES).await?;
        let mut held: Vec<Assignment> = held
            .into_iter()
            // What comes by a group is the group's.
            .filter(|held| held.resource_id == application.id && held.principal_id == id.0)
            .collect();
        for value in &place.app_roles {
            let role = application.role(value).ok_or_else(|| no_role(value))?;
            if held.iter().any(|held| held.app_role_id == role) {
                continue;
            }
            let call = app_role_assign::call(id, &application.id, role);
            let assigned = desk.send(call).await.and_then(app_role_assign::read);
            assigned.map_err(|error| self.missing(id, error, WRITE_ROLES))?;
        }
        let wanted = |value: &&String| !place.app_roles.contains(value);
        for value in place.managed_app_roles.iter().filter(wanted) {
            // One that the application does not have nobody has.
            let Some(role) = application.role(value) else {
                continue;
            };
            while let Some(at) = held.iter().position(|held| held.app_role_id == role) {
                let assignment = held.swap_remove(at);
                let left = desk.send(app_role_unassign::call(id, &assignment.id)).await;
                match left.and_then(Reply::done) {
                    Err(error) if error.status() == Some(404) => {}
                    left => left.map_err(|error| self.failed(error, WRITE_ROLES))?,
                }
            }
        }
        Ok(())
    }

    /// The application in the tenant, with its roles.
    async fn principal(&self, desk: &Desk) -> Result<ServicePrincipal, Outcome> {
        if let Some(known) = self.principal.known(self.graph.now()) {
            return Ok(known);
        }
        let Some(application) = &self.application else {
            return Err(Outcome::Refused(Refusal::Impossible {
                why: "`entra.application` does not say which application has the app roles",
            }));
        };
        let reply = desk.send(service_principal::call(application)).await;
        let found = reply.and_then(service_principal::read);
        let found = found.map_err(|error| self.failed(error, WRITE_ROLES))?;
        let Some(found) = found else {
            return Err(Outcome::Refused(Refusal::Impossible {
                why: "the application of `entra.application` is not in the tenant",
            }));
        };
        self.principal.keep(found.clone(), self.graph.now());
        Ok(found)
    }

    /// Every entry of a list about an account.
    async fn pages<T: DeserializeOwned>(
        &self,
        desk: &Desk,
        id: &ObjectId,
        first: Call,
        permission: &'static str,
    ) -> Result<Vec<T>, Outcome> {
        let mut entries = Vec::new();
        let mut call = first;
        loop {
            let page = desk
                .send(call)
                .await
                .and_then(|reply| reply.read::<Page<T>>());
            let page = page.map_err(|error| self.missing(id, error, permission))?;
            entries.extend(page.value);
            let Some(next) = page.next else {
                return Ok(entries);
            };
            let next = self.graph.relative(&next);
            call = Call::get(next.map_err(|error| self.failed(error, permission))?);
        }
    }
}

/// Which groups to join and which to leave. Pure.
fn changes(
    wanted: &[String],
    managed: &[String],
    now: &BTreeSet<String>,
) -> (Vec<String>, Vec<String>) {
    let wanted: BTreeSet<String> = wanted.iter().map(|id| id.to_lowercase()).collect();
    let managed: BTreeSet<String> = managed.iter().map(|id| id.to_lowercase()).collect();
    let leave = managed.intersection(now).filter(|id| !wanted.contains(*id));
    (
        wanted.difference(now).cloned().collect(),
        leave.cloned().collect(),
    )
}

fn no_group(group: &str) -> Outcome {
    Outcome::Refused(Refusal::Invalid {
        why: format!("there is no group `{group}`"),
    })
}

fn no_role(value: &str) -> Outcome {
    Outcome::Refused(Refusal::Invalid {
        why: format!("the application has no enabled app role `{value}` for users"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_are_not_managed_are_left_alone() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let now = ids(&["old", "private"]).into_iter().collect();
        let (join, leave) = changes(&ids(&["New"]), &ids(&["NEW", "old", "other"]), &now);
        assert_eq!((join, leave), (ids(&["new"]), ids(&["old"])));
    }
}
