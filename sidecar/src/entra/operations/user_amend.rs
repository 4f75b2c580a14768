//! `PATCH /users/{id}`: what differs, and nothing else.
//!
//! Source: `learn.microsoft.com/graph/api/user-update`. Least permission: `User.ReadWrite.All`.

use serde_json::{Map, Value};

use crate::entra::call::Call;
use crate::entra::path::escaped;
use crate::entra::sync::Said;
use crate::provisioning::ObjectId;

pub(in crate::entra) fn call(id: &ObjectId, is: &Said, wanted: &Said) -> Call {
    let given = |text: &str| match text {
        "" => Value::Null,
        text => text.into(),
    };
    let mut body = Map::new();
    for (member, is, wanted) in [
        ("displayName", &is.name, &wanted.name),
        ("department", &is.department, &wanted.department),
        ("jobTitle", &is.job_title, &wanted.job_title),
    ] {
        if is != wanted {
            body.insert(member.to_owned(), given(wanted));
        }
    }
    if is.enabled != wanted.enabled {
        body.insert("accountEnabled".to_owned(), wanted.enabled.into());
    }
    Call::patch(format!("/users/{}", escaped(&id.0)), Value::Object(body))
}
