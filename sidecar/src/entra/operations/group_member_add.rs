//! `POST /groups/{id}/members/$ref`.
//!
//! Source: `learn.microsoft.com/graph/api/group-post-members`. Least permission:
//! `GroupMember.ReadWrite.All`.

use serde_json::json;

use crate::entra::call::{Call, Reply};
use crate::entra::fault::GraphError;
use crate::entra::graph::Graph;
use crate::entra::path::escaped;

pub(in crate::entra) fn call(graph: &Graph, group: &str, member: &str) -> Call {
    let body = json!({"@odata.id": graph.object_url(&escaped(member))});
    let path = format!("/groups/{}/members/$ref", escaped(group));
    Call::post(path, Some(body))
}

/// Whoever is there already is there.
pub(in crate::entra) fn read(reply: Reply) -> Result<(), GraphError> {
    match reply.done() {
        Err(error) if error.words().is_some_and(|words| words.is_already()) => Ok(()),
        outcome => outcome,
    }
}
