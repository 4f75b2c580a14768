//! `DELETE /users/{id}`. For 30 days the user can be restored in Entra ID.
//!
//! Source: `learn.microsoft.com/graph/api/user-delete`. Least permission:
//! `User.DeleteRestore.All`, or `User.ReadWrite.All`.

use crate::entra::call::Call;
use crate::entra::path::escaped;
use crate::provisioning::ObjectId;

pub(in crate::entra) fn call(id: &ObjectId) -> Call {
    Call::delete(format!("/users/{}", escaped(&id.0)))
}
