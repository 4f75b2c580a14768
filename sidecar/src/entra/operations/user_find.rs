//! `GET /users/{id or userPrincipalName}`, and `GET /users` by `employeeId`.
//!
//! Source: `learn.microsoft.com/graph/api/user-get` and `user-list`. Least permission:
//! `User.Read.All`.

use super::user::{SELECT, User};
use crate::entra::call::{Call, Reply};
use crate::entra::fault::GraphError;
use crate::entra::graph::Page;
use crate::entra::path::{escaped, literal};
use crate::provisioning::{Account, AccountKey};

pub(in crate::entra) fn call(key: &AccountKey) -> Call {
    let by_name = |name: &str| format!("/users/{}?$select={SELECT}", escaped(name));
    Call::get(match key {
        AccountKey::Object(id) => by_name(&id.0),
        AccountKey::UserName(name) => by_name(&name.0),
        AccountKey::Employee(id) => {
            let id = literal(id.as_str());
            format!("/users?$filter=employeeId%20eq%20{id}&$select={SELECT}&$top=2")
        }
    })
}

/// All that have the key: of employee ids Entra ID does not see to it that it is one.
pub(in crate::entra) fn read(key: &AccountKey, reply: Reply) -> Result<Vec<Account>, GraphError> {
    if let AccountKey::Employee(_) = key {
        let page: Page<User> = reply.read()?;
        return Ok(page.value.into_iter().map(Account::from).collect());
    }
    match reply.read::<User>() {
        Ok(user) => Ok(vec![user.into()]),
        Err(error) if error.status() == Some(404) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
