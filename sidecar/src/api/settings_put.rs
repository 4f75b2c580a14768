use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Api;
use super::access::Access;
use super::etag::IfMatch;
use super::extract::Json as Body;
use super::problem::Problem;
use super::recording::recorded;
use super::settings::{SystemSettings, answer};
use crate::settings::SettingsValues;
use crate::store::settings::{self, Change};

/// Change settings
///
/// The body is everything that is to be set: what it leaves out is as the policy file says again. It
/// is in force within a second, on every sidecar of the database.
#[utoipa::path(
    put, path = "/v1/system/settings", operation_id = "changeSettings", tag = "system",
    security(("token" = [])), request_body = SettingsValues,
    params(("If-Match" = Option<String>, Header, description = "`ETag` of the settings as the caller knows them; it cannot be left out")),
    responses(
        (status = 200, body = SystemSettings, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "They were changed since", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A setting that there is not, that is locked, or that cannot be so; `detail` names every one", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "`If-Match` is missing", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "This sidecar stands by, or has just ended", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(api): State<Api>,
    access: Access,
    condition: IfMatch,
    Body(values): Body<SettingsValues>,
) -> Result<Response, Problem> {
    if condition.is_absent() {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "`If-Match` is missing: get the settings, and send their `ETag`",
        ));
    }
    let shared = &api.0;
    let writer = shared.recording()?;
    let mut author = access.author(shared.clock.now())?;
    let live = &shared.settings;
    // One after the other, so that a lost race is seen whatever the database does.
    let _turn = shared.hub.turn().await;
    let decide = |former: &Change| {
        condition.check(former.version)?;
        if let Err(wrong) = live.ground().check(&values) {
            let texts: Vec<_> = wrong
                .iter()
                .map(|wrong| format!("`{}` {}", wrong.path, wrong.message))
                .collect();
            let text = texts.join("; ");
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
        }
        Ok(values)
    };
    let (stored, is_new) = settings::change(&shared.store, &mut author, decide).await??;
    if is_new {
        live.take(&stored);
        recorded(writer).await?;
    }
    Ok(answer(&api, Some(stored)))
}
