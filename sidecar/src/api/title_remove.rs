use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::access::Access;
use super::etag::IfMatch;
use super::extract::Path;
use super::problem::Problem;
use super::units::{change, removable};
use crate::store::units::Kind;

/// Take a title away
///
/// It stays away when the sidecar starts again, even if the policy file has it. Its history stays.
#[utoipa::path(
    delete, path = "/v1/titles/{titleId}", operation_id = "removeTitle", tag = "titles",
    security(("token" = [])),
    params(
        ("titleId" = String, Path, description = "Code of the title"),
        ("If-Match" = Option<String>, Header, description = "`ETag` of the title as the caller knows it"),
    ),
    responses(
        (status = 204, description = "It is no more"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such title", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "People have it", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It was changed since", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "This sidecar stands by, or has just ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
    condition: IfMatch,
) -> Result<StatusCode, Problem> {
    let decide = |former: Option<&_>, members| removable(Kind::Title, former, members, &condition);
    change(&api, &access, (Kind::Title, &id), decide).await?;
    Ok(StatusCode::NO_CONTENT)
}
