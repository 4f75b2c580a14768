use axum::Json;
use axum::extract::State;

use super::Api;
use super::access::{Access, outside};
use super::extract::{Path, Query};
use super::problem::Problem;
use super::units::{Page, members};
use super::users::Users;
use crate::store::units::Kind;

/// Its people
///
/// Whom the directory has there; not whom a group or a claim of the token puts there.
#[utoipa::path(
    get, path = "/v1/departments/{departmentId}/members", operation_id = "listDepartmentMembers", tag = "departments",
    security(("token" = [])), params(("departmentId" = String, Path, description = "Code of the department"), Page),
    responses(
        (status = 200, body = Users),
        (status = 400, description = "The page is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing, or it is about another department than the caller's own", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such department", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
    page: Query<Page>,
) -> Result<Json<Users>, Problem> {
    if !access.reach().covers(Some(&id), None) {
        return Err(outside());
    }
    members(&api, Kind::Department, &id, page).await
}
