use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::extract::Query;
use super::graph_problem::graph_problem;
use super::page;
use super::problem::Problem;
use crate::entra::{Graph, Group};

/// Most groups of a page of Entra ID.
const MOST: u32 = 999;

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Most groups of the page, 1 to 999.
    #[param(minimum = 1, maximum = 999, default = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of groups, in the order of the directory.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Groups {
    /// Whose groups they are.
    directory: Directory,
    groups: Vec<GroupShown>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Who has the accounts.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Directory {
    /// The sidecar's own: its groups are the departments.
    Embedded,
    /// The company's tenant of Entra ID.
    Entra,
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupShown {
    /// Object id, or the code of the department.
    id: String,
    /// Its name.
    name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether members can be added and removed here. Not so if they follow from a rule, from
    /// their department, or come from the company's own network.
    changeable: bool,
}

/// Groups of the directory, page by page
#[utoipa::path(
    get, path = "/v1/azuread/groups", operation_id = "listGroups", tag = "azuread", security(("token" = [])),
    params(Which),
    responses(
        (status = 200, body = Groups),
        (status = 400, description = "The page is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "Microsoft Graph refuses it", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Microsoft Graph does not answer, or is asked too often", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    Query(which): Query<Which>,
) -> Result<Json<Groups>, Problem> {
    let limit = page::limit(which.limit)?;
    if limit > MOST {
        return Err(Problem::bad_request(format!("`limit` must be 1 to {MOST}")));
    }
    match api.0.entra.get() {
        Some(tenant) => of_tenant(tenant.graph(), limit, which.cursor.as_deref()).await,
        None => Ok(of_departments(&api, limit, which.cursor.as_deref())),
    }
    .map(Json)
}

async fn of_tenant(graph: &Graph, limit: u32, cursor: Option<&str>) -> Result<Groups, Problem> {
    let from = cursor.map(place).transpose()?;
    let page = graph.groups(from.as_deref(), limit).await;
    let (groups, next) = page.map_err(|error| graph_problem(&error))?;
    Ok(Groups {
        directory: Directory::Entra,
        groups: groups.into_iter().map(GroupShown::from).collect(),
        next: next.map(|next| URL_SAFE_NO_PAD.encode(next)),
    })
}

/// Where a page of the tenant's groups begins. A cursor leads to groups and nowhere else.
fn place(cursor: &str) -> Result<String, Problem> {
    let read = URL_SAFE_NO_PAD.decode(cursor).ok();
    let read = read.and_then(|bytes| String::from_utf8(bytes).ok());
    let place = read.filter(|path| path.starts_with("/groups?") && path.is_ascii());
    place.ok_or_else(|| Problem::bad_request("`cursor` is not the `next` of a page"))
}

fn of_departments(api: &Api, limit: u32, cursor: Option<&str>) -> Groups {
    let policy = api.0.hub.policy();
    let mut departments: Vec<_> = policy.departments.values().collect();
    departments.sort_by(|one, other| one.id.cmp(&other.id));
    let after = cursor.unwrap_or_default();
    departments.retain(|department| department.id.as_str() > after);
    let (departments, next) = page::cut(departments, limit, |one| one.id.0.clone());
    let groups = departments.into_iter().map(|department| GroupShown {
        id: department.id.0.clone(),
        name: department.name.clone(),
        description: None,
        changeable: false,
    });
    Groups {
        directory: Directory::Embedded,
        groups: groups.collect(),
        next,
    }
}

impl From<Group> for GroupShown {
    fn from(group: Group) -> Self {
        let by_rule = group
            .group_types
            .iter()
            .any(|kind| kind == "DynamicMembership");
        let from_elsewhere = group.on_premises_sync_enabled == Some(true);
        Self {
            id: group.id,
            name: group.display_name.unwrap_or_default(),
            description: group.description,
            changeable: !by_rule && !from_elsewhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_to_groups_alone() {
        let cursor = |path: &str| URL_SAFE_NO_PAD.encode(path);
        assert!(place(&cursor("/groups?$skiptoken=5")).is_ok());
        for path in [
            "/users?$top=5",
            "/groups/1/members",
            "https://x/groups?",
            "",
        ] {
            assert!(place(&cursor(path)).is_err(), "{path}");
        }
        assert!(place("%").is_err());
    }
}
