//! `POST /users/{id}/appRoleAssignments`.
//!
//! Source: `learn.microsoft.com/graph/api/user-post-approleassignments`. Least permission:
//! `AppRoleAssignment.ReadWrite.All`.

use serde_json::json;

use crate::entra::call::{Call, Reply};
use crate::entra::fault::GraphError;
use crate::entra::path::escaped;
use crate::provisioning::ObjectId;

pub(in crate::entra) fn call(id: &ObjectId, application: &str, role: &str) -> Call {
    let body = json!({"principalId": id.0, "resourceId": application, "appRoleId": role});
    let path = format!("/users/{}/appRoleAssignments", escaped(&id.0));
    Call::post(path, Some(body))
}

/// Whoever has it already has it.
pub(in crate::entra) fn read(reply: Reply) -> Result<(), GraphError> {
    match reply.done() {
        Err(error) if error.words().is_some_and(|words| words.is_already()) => Ok(()),
        outcome => outcome,
    }
}
