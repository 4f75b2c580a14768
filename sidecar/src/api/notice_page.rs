use axum::extract::State;
use axum::response::Response;

use super::Api;
use super::extract::Path;
use super::notice::{View, page};
use super::problem::Problem;

/// The page behind the link of a notice
///
/// For people who have a new account, if the policy sends them links. It is the same for every
/// link and shows nothing: programs that follow links in mails use up none.
#[utoipa::path(
    get, path = "/v1/notices/{noticeId}", operation_id = "getNotice", tag = "notices",
    security(()), params(("noticeId" = String, Path, description = "The last part of the link")),
    responses((status = 200, description = "A button that sends the code of the link", body = String, content_type = "text/html"))
)]
pub(super) async fn get(
    State(api): State<Api>,
    Path(_): Path<String>,
) -> Result<Response, Problem> {
    page(&api.0.hub.policy().organisation, &View::Ask)
}
