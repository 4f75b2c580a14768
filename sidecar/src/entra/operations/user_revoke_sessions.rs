//! `POST /users/{id}/revokeSignInSessions`.
//!
//! Source: `learn.microsoft.com/graph/api/user-revokesigninsessions`. Least permission:
//! `User.RevokeSessions.All`.

use crate::entra::call::Call;
use crate::entra::path::escaped;
use crate::provisioning::ObjectId;

pub(in crate::entra) fn call(id: &ObjectId) -> Call {
    let path = format!("/users/{}/revokeSignInSessions", escaped(&id.0));
    Call::post(path, None)
}
