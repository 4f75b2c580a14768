//! `DELETE /users/{id}/appRoleAssignments/{id}`.
//!
//! Source: `learn.microsoft.com/graph/api/user-delete-approleassignments`. Least permission:
//! `AppRoleAssignment.ReadWrite.All`.

use crate::entra::call::Call;
use crate::entra::path::escaped;
use crate::provisioning::ObjectId;

pub(in crate::entra) fn call(id: &ObjectId, assignment: &str) -> Call {
    let (id, assignment) = (escaped(&id.0), escaped(assignment));
    Call::delete(format!("/users/{id}/appRoleAssignments/{assignment}"))
}
