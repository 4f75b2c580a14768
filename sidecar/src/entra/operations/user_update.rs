//! `PATCH /users/{id}`: everything but whether it is enabled.
//!
//! Source: `learn.microsoft.com/graph/api/user-update`. Least permission: `User.ReadWrite.All`.

use super::user::written;
use crate::entra::call::Call;
use crate::entra::path::escaped;
use crate::provisioning::{AccountSpec, ObjectId};

pub(in crate::entra) fn call(id: &ObjectId, spec: &AccountSpec) -> Call {
    Call::patch(format!("/users/{}", escaped(&id.0)), written(spec))
}
