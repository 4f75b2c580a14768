use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Api;
use super::access::{Access, outside};
use super::department::DepartmentView;
use super::extract::Path;
use super::problem::Problem;
use super::units::{answer, find, people_of};
use crate::store::units::Kind;

/// One department
#[utoipa::path(
    get, path = "/v1/departments/{departmentId}", operation_id = "getDepartment", tag = "departments",
    security(("token" = [])), params(("departmentId" = String, Path, description = "Code of the department")),
    responses(
        (status = 200, body = DepartmentView, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing, or it is about another department than the caller's own", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such department", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    if !access.reach().covers(Some(&id), None) {
        return Err(outside());
    }
    let unit = find(&api, Kind::Department, &id).await?;
    let shown = DepartmentView::new(&unit, people_of(&api, &unit).await?);
    Ok(answer(StatusCode::OK, &unit, shown))
}
