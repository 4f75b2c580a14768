//! `PATCH /users/{id}`: a new password, to be changed at the next sign-in.
//!
//! Source: `learn.microsoft.com/graph/api/user-update`. Least permission:
//! `User-PasswordProfile.ReadWrite.All`.

use serde_json::json;

use super::user::password_profile;
use crate::entra::call::Call;
use crate::entra::path::escaped;
use crate::provisioning::{ObjectId, Password};

pub(in crate::entra) fn call(id: &ObjectId, password: &Password) -> Call {
    let body = json!({"passwordProfile": password_profile(password.reveal())});
    Call::patch(format!("/users/{}", escaped(&id.0)), body)
}
