//! A subscription key as the API shows it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sekisho_domain::{Network, UnixMillis, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::access::Reach;
use super::etag;
use super::moments::shown;
use super::problem::Problem;
use crate::apikeys::OrderError;
use crate::store::keys::StoredKey;

/// A subscription key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Key {
    /// Its public id.
    #[schema(example = "key-5e6c7d8091ab0001")]
    id: String,
    /// What people call it.
    name: String,
    status: Status,
    /// Code of the department that pays.
    department: String,
    /// The person it is for, by the company's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// What it grants.
    scopes: Vec<String>,
    /// Where it may be used from; empty: everywhere.
    #[schema(example = json!(["192.0.2.0/24"]))]
    networks: Vec<String>,
    /// When it was issued.
    created_at: String,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// When its secret was last replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotated_at: Option<String>,
    /// Until when the secret before that is accepted, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_secret_until: Option<String>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
}

/// Whether gateways accept it.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// They do.
    Active,
    /// Not any longer.
    Expired,
    /// Never again.
    Revoked,
}

/// A fresh secret with its key.
#[derive(Serialize, ToSchema)]
pub(super) struct IssuedKey {
    /// The secret. It is shown here and never again.
    #[schema(example = "sk-sekisho-...")]
    key: String,
    #[serde(flatten)]
    about: Key,
}

impl Key {
    pub(super) fn new(key: StoredKey, now: UnixMillis) -> Self {
        let status = if key.revoked.is_some() {
            Status::Revoked
        } else if key.expires.is_some_and(|expires| expires <= now) {
            Status::Expired
        } else {
            Status::Active
        };
        let former = key.former.filter(|former| now < former.until);
        Self {
            id: key.id.0,
            name: key.name,
            status,
            department: key.department.0,
            user: key.user.map(|user| user.0),
            scopes: key.scopes,
            networks: key.networks.iter().map(Network::to_string).collect(),
            created_at: shown(key.created),
            expires_at: key.expires.map(shown),
            rotated_at: key.rotated.map(shown),
            former_secret_until: former.map(|former| shown(former.until)),
            revoked_at: key.revoked.map(shown),
        }
    }
}

/// The answer that shows a key, under its entity tag.
pub(super) fn answer(key: StoredKey, now: UnixMillis) -> Response {
    let tag = [(header::ETAG, etag::of(key.version))];
    (tag, Json(Key::new(key, now))).into_response()
}

/// The answer that shows a secret, which nobody on the way may keep.
pub(super) fn secret_answer(
    status: StatusCode,
    secret: String,
    key: StoredKey,
    now: UnixMillis,
) -> Response {
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::ETAG, etag::of(key.version)),
    ];
    let issued = IssuedKey {
        key: secret,
        about: Key::new(key, now),
    };
    (status, headers, Json(issued)).into_response()
}

/// Whether a key is in the caller's reach: of the department, or issued to the person.
pub(super) fn is_within(key: &StoredKey, reach: &Reach) -> bool {
    reach.covers(
        Some(key.department.as_str()),
        key.user.as_ref().map(UserId::as_str),
    )
}

/// There is none of this id. What is not the id of a key may be the secret of one: it is
/// never repeated.
pub(super) fn unknown() -> Problem {
    Problem::not_found("there is no such key; keys are named by their public ids")
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let status = match error {
            OrderError::Revoked => StatusCode::CONFLICT,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, error.to_string())
    }
}
