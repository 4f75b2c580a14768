use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::Response;
use std::net::SocketAddr;
use url::form_urlencoded;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::Api;
use super::apikey_issue::random;
use super::extract::Path;
use super::notice::{View, page};
use super::problem::Problem;
use super::recording::recorded;
use crate::provisioning::notices::links::{self, Revealed};

/// The form of the page.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the form; its fields are read one by one"
)]
pub(super) struct Code {
    /// What the link has behind its `#`.
    code: String,
}

/// Show a first password, once
///
/// For the code of the link; five wrong ones destroy it. Whether and from where it was shown is on
/// record.
#[utoipa::path(
    post, path = "/v1/notices/{noticeId}", operation_id = "revealNotice", tag = "notices",
    security(()), params(("noticeId" = String, Path, description = "The last part of the link")),
    request_body(content = Code, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The password, which is not shown again", body = String, content_type = "text/html"),
        (status = 403, description = "The code is wrong", body = String, content_type = "text/html"),
        (status = 410, description = "The link was used, has expired, or there is none", body = String, content_type = "text/html"),
        (status = 503, description = "This sidecar writes no log just now", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    Path(id): Path<String>,
    reader: Option<axum::Extension<ConnectInfo<SocketAddr>>>,
    form: Bytes,
) -> Result<Response, Problem> {
    let shared = &api.0;
    let writer = shared.recording()?;
    let mut fields = form_urlencoded::parse(&form);
    let code = fields.find(|(name, _)| name == "code");
    let code = Zeroizing::new(code.map(|(_, code)| code.into_owned()).unwrap_or_default());
    let address = reader.map(|peer| peer.0.0.ip().to_canonical().to_string());
    let now = shared.clock.now();
    let mut author = links::reader(address, now, random()?);
    let revealed = links::reveal(&shared.store, &id, &code, &mut author).await?;
    // What was shown is on record before it is.
    if recorded(writer).await.is_err() {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the sidecar is ending: ask your administrator for a new password",
        ));
    }
    let view = match &revealed {
        Revealed::Shown(shown) => View::Shown(shown),
        Revealed::Wrong(left) => View::Wrong(*left),
        Revealed::Gone => View::Gone,
    };
    page(&shared.hub.policy().organisation, &view)
}
