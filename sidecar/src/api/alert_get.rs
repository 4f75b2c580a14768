use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;

use super::Api;
use super::access::Access;
use super::alert::{Alert, Showing, unknown};
use super::extract::Path;
use super::problem::Problem;
use crate::store::alerts;

/// One alert
#[utoipa::path(
    get, path = "/v1/alerts/{alertId}", operation_id = "getAlert", tag = "alerts",
    security(("token" = [])), params(("alertId" = String, Path, description = "Id of the alert")),
    responses(
        (status = 200, body = Alert),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such alert", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _: Access,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Alert>, Problem> {
    let found = alerts::find(&api.0.store, &id).await?.ok_or_else(unknown)?;
    Ok(Json(Showing::new(&api, &headers).alert(found)))
}
