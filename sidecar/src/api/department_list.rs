use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::department::DepartmentView;
use super::extract::Query;
use super::problem::Problem;
use super::units::{Page, counted, page_of};
use crate::store::units::{self, Kind};

/// A page of departments, in the order of codes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Departments {
    departments: Vec<DepartmentView>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Departments, and how many people each has
#[utoipa::path(
    get, path = "/v1/departments", operation_id = "listDepartments", tag = "departments",
    security(("token" = [])), params(Page),
    responses(
        (status = 200, body = Departments),
        (status = 400, description = "The page is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
    Query(page): Query<Page>,
) -> Result<Json<Departments>, Problem> {
    let store = &api.0.store;
    let mut all = units::in_force(store).await?.departments;
    all.retain(|unit| access.reach().covers(Some(&unit.id), None));
    let (found, next) = page_of(all, &page)?;
    let people = units::people_by(store, Kind::Department).await?;
    let shown = found.iter();
    let shown = shown.map(|unit| DepartmentView::new(unit, counted(&people, unit)));
    Ok(Json(Departments {
        departments: shown.collect(),
        next,
    }))
}
