//! Settings as the API shows them.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::etag;
use super::moments::shown;
use crate::settings::{Origin, SettingsValues, Shown};
use crate::store::settings::Change;

/// Settings.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SystemSettings {
    /// Counts changes; 0: nothing was ever set.
    version: i64,
    /// What is set, over whatever the policy file says. This is what is put.
    settings: SettingsValues,
    /// Every setting that applies, as it is in force.
    effective: SettingsValues,
    /// Who says what a setting is, by its name: `settings`, `file` (the policy file) or `default` (the release).
    #[schema(example = json!({"people.unused.days": "settings", "mail.language": "file"}))]
    origins: BTreeMap<String, Origin>,
    /// Settings about which the policy file has the last word, or what they begin with.
    #[schema(example = json!(["alerts.rules.changes"]))]
    locked: Vec<String>,
    /// When the last change was; absent: there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-10-14T03:12:45Z")]
    changed_at: Option<String>,
    /// Tenant and object id of whoever made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_by: Option<String>,
    /// Why what is set is not in force, but the policy file alone; absent: it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// An answer that shows settings, under their entity tag.
pub(super) fn answer(api: &Api, stored: Option<Change>) -> Response {
    let live = &api.0.settings;
    let problems = live
        .now()
        .problems
        .iter()
        .map(ToString::to_string)
        .collect();
    let Change {
        version,
        at,
        by,
        values,
        ..
    } = stored.unwrap_or_default();
    let Shown { effective, origins } = live.ground().shown(&values);
    let is_changed = version > 0;
    let view = SystemSettings {
        version,
        settings: values,
        effective,
        origins,
        locked: live.ground().locked().to_vec(),
        changed_at: is_changed.then(|| shown(at)),
        changed_by: is_changed.then_some(by),
        problems,
    };
    let tag = [(header::ETAG, etag::of(version))];
    (StatusCode::OK, tag, Json(view)).into_response()
}
