use axum::Json;
use axum::extract::State;

use super::Api;
use super::access::{Access, outside};
use super::extract::{Path, Query};
use super::problem::Problem;
use super::units::{Page, UnitHistory, history};
use crate::store::units::Kind;

/// Who changed a department, and how it was
#[utoipa::path(
    get, path = "/v1/departments/{departmentId}/history", operation_id = "getDepartmentHistory", tag = "departments",
    security(("token" = [])), params(("departmentId" = String, Path, description = "Code of the department"), Page),
    responses(
        (status = 200, body = UnitHistory),
        (status = 400, description = "The page is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing, or it is about another department than the caller's own", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There never was such a department", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
    page: Query<Page>,
) -> Result<Json<UnitHistory>, Problem> {
    if !access.reach().covers(Some(&id), None) {
        return Err(outside());
    }
    history(&api, Kind::Department, &id, page).await
}
