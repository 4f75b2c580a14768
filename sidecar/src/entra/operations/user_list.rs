//! `GET /users`: everybody, in pages of 999.
//!
//! Source: `learn.microsoft.com/graph/api/user-list`. Least permission: `User.Read.All`.

use super::user::{SELECT, User};
use crate::entra::fault::GraphError;
use crate::entra::graph::Graph;
use crate::entra::pace::Pace;
use crate::provisioning::Account;

pub(in crate::entra) async fn all(graph: &Graph, pace: Pace) -> Result<Vec<Account>, GraphError> {
    let path = format!("/users?$select={SELECT}&$top=999");
    let users: Vec<User> = graph.list(path, pace).await?;
    Ok(users.into_iter().map(Account::from).collect())
}
