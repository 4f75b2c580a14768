use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::group_member::{Deed, change};
use super::problem::Problem;

/// Take a person out of a group
///
/// In a group that the policy gives to the person's department the account comes back when it is
/// placed anew.
#[utoipa::path(
    delete, path = "/v1/azuread/groups/{groupId}/members/{userId}", operation_id = "removeGroupMember", tag = "azuread",
    security(("token" = [])),
    params(
        ("groupId" = String, Path, description = "Object id of the group"),
        ("userId" = String, Path, description = "The company's id of the person"),
    ),
    responses(
        (status = 204, description = "The person is out of the group"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such group or person, or the person is not in it", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The members of this group cannot be changed here", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "Microsoft Graph refuses it", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "This sidecar stands by, or Microsoft Graph does not answer or is asked too often", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(api): State<Api>,
    administrator: Access,
    Path((group, user)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    change(&api, &administrator, Deed::Remove, &group, &user).await
}
