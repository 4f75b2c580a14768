//! `GET /groups/{id}/members`: who is in a group itself.
//!
//! Source: `learn.microsoft.com/graph/api/group-list-members`. Least permission:
//! `GroupMember.Read.All`.

use super::user_groups::Holder;
use crate::entra::fault::GraphError;
use crate::entra::graph::Graph;
use crate::entra::pace::Pace;
use crate::entra::path::escaped;

pub(in crate::entra) async fn ids(
    graph: &Graph,
    group: &str,
    pace: Pace,
) -> Result<Vec<String>, GraphError> {
    let group = escaped(group);
    let path = format!("/groups/{group}/members?$select=id&$top=999");
    let members: Vec<Holder> = graph.list(path, pace).await?;
    Ok(members.into_iter().map(|member| member.id).collect())
}
