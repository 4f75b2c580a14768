use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::extract::{Json, Path};
use super::group_member::{Deed, change};
use super::problem::Problem;

/// Who joins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMember {
    /// The company's id of the person.
    #[schema(example = "001")]
    user: String,
}

/// Put a person into a group
///
/// Again does no harm. In a group that the policy gives to departments the person stays until
/// the account is placed anew.
#[utoipa::path(
    post, path = "/v1/azuread/groups/{groupId}/members", operation_id = "addGroupMember", tag = "azuread",
    security(("token" = [])), request_body = NewMember,
    params(("groupId" = String, Path, description = "Object id of the group")),
    responses(
        (status = 204, description = "The person is in the group"),
        (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such group or person", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The members of this group cannot be changed here", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "Microsoft Graph refuses it", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "This sidecar stands by, or Microsoft Graph does not answer or is asked too often", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    administrator: Access,
    Path(group): Path<String>,
    Json(member): Json<NewMember>,
) -> Result<StatusCode, Problem> {
    change(&api, &administrator, Deed::Add, &group, &member.user).await
}
