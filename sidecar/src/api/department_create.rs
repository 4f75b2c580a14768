use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Api;
use super::access::Access;
use super::department::{DepartmentView, NewDepartment};
use super::extract::Json as Body;
use super::problem::Problem;
use super::units::{answer, change, known, people_of};
use crate::store::units::{Kind, Wanted};

/// Add a department
///
/// Gateways know it within a second. It is the API's from then on, whatever the policy file says.
#[utoipa::path(
    post, path = "/v1/departments", operation_id = "createDepartment", tag = "departments",
    security(("token" = [])), request_body = NewDepartment,
    responses(
        (status = 201, body = DepartmentView, headers(("ETag" = String, description = "For `If-Match`"), ("Location" = String, description = "Where it is"))),
        (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is one of this code", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not `application/json`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is no department; `detail` names everything that is wrong with it", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "This sidecar stands by, or has just ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    access: Access,
    Body(new): Body<NewDepartment>,
) -> Result<Response, Problem> {
    let id = new.id.clone();
    let definition = new.definition();
    let decide = |former: Option<&_>, _| match former {
        Some(_) => Err(known(Kind::Department)),
        None => Ok(Wanted::Set(definition)),
    };
    let changed = change(&api, &access, (Kind::Department, &id), decide).await?;
    let people = people_of(&api, &changed.unit).await?;
    let shown = DepartmentView::new(&changed.unit, people);
    Ok(answer(StatusCode::CREATED, &changed.unit, shown))
}
