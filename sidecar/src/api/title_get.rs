use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Api;
use super::access::Access;
use super::extract::Path;
use super::problem::Problem;
use super::title::TitleView;
use super::units::{answer, find, people_of};
use crate::store::units::Kind;

/// One title
#[utoipa::path(
    get, path = "/v1/titles/{titleId}", operation_id = "getTitle", tag = "titles",
    security(("token" = [])), params(("titleId" = String, Path, description = "Code of the title")),
    responses(
        (status = 200, body = TitleView, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such title", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let unit = find(&api, Kind::Title, &id).await?;
    let shown = TitleView::new(&unit, people_of(&api, &unit).await?);
    Ok(answer(StatusCode::OK, &unit, shown))
}
