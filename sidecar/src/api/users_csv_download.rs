use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::Api;
use super::access::Access;
use super::problem::Problem;
use crate::people::csv;
use crate::store::people;

/// Download everybody as a CSV file
///
/// The columns of an upload and `object_id`, UTF-8 with a byte order mark. Values that a spreadsheet
/// would run as formulas begin with `'`; an upload takes it off again, so uploading the file
/// changes nothing.
#[utoipa::path(
    get, path = "/v1/users/csv/download", operation_id = "downloadUsers", tag = "users",
    security(("token" = [])),
    responses(
        (status = 200, body = String, content_type = "text/csv"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(State(api): State<Api>, _: Access) -> Result<Response, Problem> {
    let shared = &api.0;
    let everybody = people::changed_after(&shared.store, -1).await?;
    let file = csv::write(&everybody, &shared.hub.policy());
    let file = file.map_err(|error| Problem::internal(&error))?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"users.csv\"",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, file).into_response())
}
