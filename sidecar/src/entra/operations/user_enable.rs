//! `PATCH /users/{id}`: whether it may sign in.
//!
//! Source: `learn.microsoft.com/graph/api/user-update`. Least permission:
//! `User.EnableDisableAccount.All` with `User.Read.All`, or `User.ReadWrite.All`.

use serde_json::json;

use crate::entra::call::Call;
use crate::entra::path::escaped;
use crate::provisioning::ObjectId;

pub(in crate::entra) fn call(id: &ObjectId, enabled: bool) -> Call {
    let body = json!({"accountEnabled": enabled});
    Call::patch(format!("/users/{}", escaped(&id.0)), body)
}
