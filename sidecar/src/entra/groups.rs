//! Groups of the tenant, for somebody who waits for an answer.

use super::call::Reply;
use super::fault::GraphError;
use super::graph::Graph;
use super::operations::group_list::{self, Group};
use super::operations::{group_member_add, group_member_remove, group_members, user_list};
use super::pace::Pace;
use crate::provisioning::Account;

/// What came of adding or removing somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It is so now, perhaps was before.
    Done,
    /// There is no such group, or nobody of this id; who was to be removed is not in it.
    Unknown,
}

impl Graph {
    /// A page of groups, at most so many, 1 to 999: the first, or the one that an earlier answer
    /// says begins at `from`. Then where the next begins.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn groups(
        &self,
        from: Option<&str>,
        most: u32,
    ) -> Result<(Vec<Group>, Option<String>), GraphError> {
        group_list::page(self, from, most, Pace::HURRIED).await
    }

    /// Object ids of whoever is in a group itself.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn members(&self, group: &str) -> Result<Vec<String>, GraphError> {
        group_members::ids(self, group, Pace::HURRIED).await
    }

    /// Puts somebody into a group. Again does no harm.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn add_member(&self, group: &str, member: &str) -> Result<Membership, GraphError> {
        let call = group_member_add::call(self, group, member);
        let reply = self.reply(&call, Pace::HURRIED).await?;
        membership(group_member_add::read(reply))
    }

    /// Takes somebody out of a group.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn remove_member(&self, group: &str, member: &str) -> Result<Membership, GraphError> {
        let call = group_member_remove::call(group, member);
        let reply = self.reply(&call, Pace::HURRIED).await;
        membership(reply.and_then(Reply::done))
    }

    /// Every account of the tenant, guests and accounts of others included.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn everybody(&self) -> Result<Vec<Account>, GraphError> {
        user_list::all(self, Pace::UNHURRIED).await
    }
}

fn membership(outcome: Result<(), GraphError>) -> Result<Membership, GraphError> {
    match outcome {
        Ok(()) => Ok(Membership::Done),
        Err(error) if error.status() == Some(404) => Ok(Membership::Unknown),
        Err(error) => Err(error),
    }
}
