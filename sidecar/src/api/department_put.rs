use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Api;
use super::access::Access;
use super::department::{DepartmentValues, DepartmentView};
use super::etag::IfMatch;
use super::extract::{Json as Body, Path};
use super::problem::Problem;
use super::units::{answer, change, people_of, unknown};
use crate::store::units::{Kind, Members, Unit, Wanted};

/// Change a department
///
/// Replaces it whole; gateways keep to it within a second. It is the API's from then on, whatever the
/// policy file says.
#[utoipa::path(
    put, path = "/v1/departments/{departmentId}", operation_id = "changeDepartment", tag = "departments",
    security(("token" = [])), request_body = DepartmentValues,
    params(
        ("departmentId" = String, Path, description = "Code of the department"),
        ("If-Match" = Option<String>, Header, description = "`ETag` of the department as the caller knows it"),
    ),
    responses(
        (status = 200, body = DepartmentView, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such department", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "It was changed since", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not `application/json`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is no department; `detail` names everything that is wrong with it", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "This sidecar stands by, or has just ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    access: Access,
    Path(id): Path<String>,
    condition: IfMatch,
    Body(values): Body<DepartmentValues>,
) -> Result<Response, Problem> {
    let decide = |former: Option<&Unit>, _: Members| {
        let former = former.ok_or_else(|| unknown(Kind::Department))?;
        condition.check(former.version)?;
        Ok(Wanted::Set(values.definition(&id)))
    };
    let changed = change(&api, &access, (Kind::Department, &id), decide).await?;
    let people = people_of(&api, &changed.unit).await?;
    let shown = DepartmentView::new(&changed.unit, people);
    Ok(answer(StatusCode::OK, &changed.unit, shown))
}
