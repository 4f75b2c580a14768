//! A sidecar that stands by reads for people, and sends whoever wants to change something to
//! the active one.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;
use super::{Api, Role};
use crate::store::active;

/// Take-over is done within two seconds; asking again sooner than this is in vain.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Lets what only reads through; answers the rest with where to go. It is not passed on from
/// here: an administrator's token is for the sidecar that it was sent to.
pub(super) async fn send_changes_on(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Response {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if reads || api.role() == Role::Active {
        return next.run(request).await;
    }
    let problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "this sidecar stands by; the `link` header says which one takes changes",
    );
    let mut response = problem.into_response();
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, RETRY_AFTER);
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    if let Some(link) = link(&api, path).await {
        headers.insert(header::LINK, link);
    }
    response
}

/// Where the same can be done (`edit`: RFC 5023, section 11.1).
async fn link(api: &Api, path: &str) -> Option<HeaderValue> {
    // Without an answer there is nowhere to send anybody.
    let active = active::api(&api.0.store).await.ok().flatten()?;
    if active.is_empty() {
        return None;
    }
    HeaderValue::try_from(format!("<{active}{path}>; rel=\"edit\"")).ok()
}
