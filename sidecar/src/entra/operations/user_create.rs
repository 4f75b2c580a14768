//! `POST /users`.
//!
//! Source: `learn.microsoft.com/graph/api/user-post-users`. Least permission:
//! `User.ReadWrite.All`.

use serde::Deserialize;

use super::user::{password_profile, written};
use crate::entra::call::{Call, Reply};
use crate::entra::fault::GraphError;
use crate::provisioning::{AccountSpec, ObjectId, Password};

#[derive(Deserialize)]
struct Created {
    id: String,
}

/// Creates an account that must change its password at the first sign-in. Not to be given twice.
pub(in crate::entra) fn call(spec: &AccountSpec, password: &Password) -> Call {
    let mut body = written(spec);
    if let Some(body) = body.as_object_mut() {
        // Members that are not there need not be said to be absent.
        body.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|a| !a.is_empty()));
        body.insert("accountEnabled".into(), spec.enabled.into());
        let profile = password_profile(password.reveal());
        body.insert("passwordProfile".into(), profile);
    }
    Call::post("/users".to_owned(), Some(body))
}

pub(in crate::entra) fn read(reply: Reply) -> Result<ObjectId, GraphError> {
    reply.read().map(|Created { id }| ObjectId(id))
}
