//! `GET /users/{id}/appRoleAssignments`: also those that come by a group.
//!
//! Source: `learn.microsoft.com/graph/api/user-list-approleassignments`. Least permission:
//! `Directory.Read.All`; `AppRoleAssignment.ReadWrite.All` has it, too.

use serde::Deserialize;

use crate::entra::call::Call;
use crate::entra::path::escaped;
use crate::provisioning::ObjectId;

/// A role of an application that somebody has.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::entra) struct Assignment {
    pub(in crate::entra) id: String,
    pub(in crate::entra) app_role_id: String,
    pub(in crate::entra) principal_id: String,
    pub(in crate::entra) resource_id: String,
}

/// The first page; others follow by their link.
pub(in crate::entra) fn call(id: &ObjectId) -> Call {
    let id = escaped(&id.0);
    Call::get(format!("/users/{id}/appRoleAssignments?$top=999"))
}
