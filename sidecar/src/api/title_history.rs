use axum::Json;
use axum::extract::State;

use super::Api;
use super::access::Access;
use super::extract::{Path, Query};
use super::problem::Problem;
use super::units::{Page, UnitHistory, history};
use crate::store::units::Kind;

/// Who changed a title, and how it was
#[utoipa::path(
    get, path = "/v1/titles/{titleId}/history", operation_id = "getTitleHistory", tag = "titles",
    security(("token" = [])), params(("titleId" = String, Path, description = "Code of the title"), Page),
    responses(
        (status = 200, body = UnitHistory),
        (status = 400, description = "The page is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There never was such a title", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    Path(id): Path<String>,
    page: Query<Page>,
) -> Result<Json<UnitHistory>, Problem> {
    history(&api, Kind::Title, &id, page).await
}
