//! `GET /groups`: a page of them, in the order that Entra ID gives.
//!
//! Source: `learn.microsoft.com/graph/api/group-list`. Least permission: `GroupMember.Read.All`
//! (`Group.Read.All` for more than names).

use serde::Deserialize;

use crate::entra::call::Call;
use crate::entra::fault::GraphError;
use crate::entra::graph::{Graph, Page};
use crate::entra::pace::Pace;

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Object id.
    pub id: String,
    /// Its name.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// `Unified`: a Microsoft 365 group; `DynamicMembership`: its members follow from a rule.
    #[serde(default)]
    pub group_types: Vec<String>,
    /// Whether it can be used for access.
    pub security_enabled: Option<bool>,
    /// Whether it comes from the company's own network, where alone it can be changed.
    pub on_premises_sync_enabled: Option<bool>,
}

const SELECT: &str = "id,displayName,description,groupTypes,securityEnabled,onPremisesSyncEnabled";

/// The page at `from`, a path that was the answer to an earlier one; where the next begins.
pub(in crate::entra) async fn page(
    graph: &Graph,
    from: Option<&str>,
    most: u32,
    pace: Pace,
) -> Result<(Vec<Group>, Option<String>), GraphError> {
    let path = match from {
        Some(path) => path.to_owned(),
        None => format!("/groups?$select={SELECT}&$top={most}"),
    };
    let body = graph.ask(&Call::get(path), pace).await?;
    let page: Page<Group> = serde_json::from_value(body).map_err(|_| GraphError::Unreadable)?;
    let next = page.next.map(|next| graph.relative(&next)).transpose()?;
    Ok((page.value, next))
}
