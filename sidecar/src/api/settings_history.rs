use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::access::Access;
use super::extract::Query;
use super::moments::shown;
use super::page;
use super::problem::Problem;
use super::units::Page;
use crate::settings::SettingsValues;
use crate::store::settings;

/// A page of changes, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SettingsHistory {
    changes: Vec<SettingsChange>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A change of settings.
#[derive(Debug, Serialize, ToSchema)]
struct SettingsChange {
    /// The version of the settings from then on.
    version: i64,
    /// When.
    #[schema(example = "2024-10-14T03:12:45Z")]
    at: String,
    /// By whom: tenant and object id of an account.
    by: String,
    /// What was set before.
    former: SettingsValues,
    /// What was set from then on.
    settings: SettingsValues,
}

/// Who changed what about settings, and when
#[utoipa::path(
    get, path = "/v1/system/settings/history", operation_id = "getSettingsHistory", tag = "system",
    security(("token" = [])), params(Page),
    responses(
        (status = 200, body = SettingsHistory),
        (status = 400, description = "The page is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    _access: Access,
    Query(page): Query<Page>,
) -> Result<Json<SettingsHistory>, Problem> {
    let limit = page::limit(page.limit)?;
    let before = match page.cursor.as_deref() {
        None => i64::MAX,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| Problem::bad_request("`cursor` is not the `next` of a page"))?,
    };
    let found = settings::history(&api.0.store, before, limit + 1).await?;
    let (found, next) = page::cut(found, limit, |change| change.version.to_string());
    let changes = found.into_iter().map(|change| SettingsChange {
        version: change.version,
        at: shown(change.at),
        by: change.by,
        former: change.former,
        settings: change.values,
    });
    let changes = changes.collect();
    Ok(Json(SettingsHistory { changes, next }))
}
