//! `GET /users/{id}/memberOf`: the groups that it is in itself, not by way of another group.
//!
//! Source: `learn.microsoft.com/graph/api/user-list-memberof`. Least permission:
//! `User.Read.All` with `GroupMember.Read.All`.

use serde::Deserialize;

use crate::entra::call::Call;
use crate::entra::path::escaped;
use crate::provisioning::ObjectId;

/// A group, directory role or administrative unit.
#[derive(Deserialize)]
pub(in crate::entra) struct Holder {
    pub(in crate::entra) id: String,
}

/// The first page; others follow by their link.
pub(in crate::entra) fn call(id: &ObjectId) -> Call {
    let id = escaped(&id.0);
    Call::get(format!("/users/{id}/memberOf?$select=id&$top=999"))
}
