use axum::Json;
use axum::extract::State;

use super::Api;
use super::access::Access;
use super::extract::{Path, Query};
use super::problem::Problem;
use super::units::{Page, members};
use super::users::Users;
use crate::store::units::Kind;

/// Its people
///
/// Whom the directory has with its code or its name.
#[utoipa::path(
    get, path = "/v1/titles/{titleId}/members", operation_id = "listTitleMembers", tag = "titles",
    security(("token" = [])), params(("titleId" = String, Path, description = "Code of the title"), Page),
    responses(
        (status = 200, body = Users),
        (status = 400, description = "The page is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such title", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    Path(id): Path<String>,
    page: Query<Page>,
) -> Result<Json<Users>, Problem> {
    members(&api, Kind::Title, &id, page).await
}
