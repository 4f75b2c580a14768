use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::access::{Access, Part};
use super::apikey::Key;
use super::extract::Query;
use super::page;
use super::problem::Problem;
use crate::store::keys;

/// Which keys. Whatever is not said does not restrict.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Of one department, by code.
    #[param(example = "sales")]
    department: Option<String>,
    /// Of one person, by the company's id.
    #[param(example = "001")]
    user: Option<String>,
    /// Most keys of the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of keys, in the order of their ids.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Keys {
    keys: Vec<Key>,
    /// Where the next page begins; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Subscription keys, without their secrets
#[utoipa::path(
    get, path = "/v1/apikeys", operation_id = "listApiKeys", tag = "apikeys",
    security(("token" = [])), params(Which),
    responses(
        (status = 200, body = Keys),
        (status = 400, description = "A filter is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing, or it is about another department or person than the caller's own", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(api): State<Api>,
    access: Access,
    Query(which): Query<Which>,
) -> Result<Json<Keys>, Problem> {
    let shared = &api.0;
    let limit = page::limit(which.limit)?;
    let part = access.reach().confine(Part {
        department: which.department,
        person: which.user,
    })?;
    let found = keys::list(
        &shared.store,
        part.department.as_deref(),
        part.person.as_deref(),
        which.cursor.as_deref().unwrap_or_default(),
        limit + 1,
    )
    .await?;
    let (found, next) = page::cut(found, limit, |key| key.id.0.clone());
    let now = shared.clock.now();
    let keys = found.into_iter().map(|key| Key::new(key, now)).collect();
    Ok(Json(Keys { keys, next }))
}
