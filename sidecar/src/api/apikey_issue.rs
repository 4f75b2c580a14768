use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::authentication::Administrator;
use super::extract::Json as Body;
use super::moments::{moment, shown};
use super::problem::Problem;
use crate::apikeys::{self, Order, OrderError};
use crate::store::keys::{self, StoredKey};

/// What the key is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    /// What people call it, 1 to 100 characters.
    #[schema(example = "nightly batch")]
    name: String,
    /// Who pays: code or name of a department.
    #[schema(example = "sales")]
    department: String,
    /// What it grants; the department's entitlements narrow it.
    #[schema(example = json!(["text_apis"]))]
    scopes: Vec<String>,
    /// From this moment (RFC 3339) or day on it is refused; default: never.
    #[schema(example = "2030-01-01T00:00:00Z")]
    expires_at: Option<String>,
}

/// A fresh key with its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct IssuedKey {
    /// The secret. It is shown here and never again.
    #[schema(example = "sk-sekisho-...")]
    key: String,
    #[serde(flatten)]
    about: Key,
}

/// A subscription key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Key {
    /// Its public id.
    #[schema(example = "key-5e6c7d8091ab0001")]
    id: String,
    /// What people call it.
    name: String,
    /// Code of the department that pays.
    department: String,
    /// What it grants.
    scopes: Vec<String>,
    /// When it was issued.
    created_at: String,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
}

/// Issue a subscription key
#[utoipa::path(
    post, path = "/v1/apikeys", operation_id = "issueApiKey", tag = "apikeys",
    security(("token" = [])), request_body = NewKey,
    responses(
        (status = 201, body = IssuedKey),
        (status = 400, description = "The body is not what it should be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No accepted token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The role is missing", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No such department or scope, no name, or already expired", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post(
    State(api): State<Api>,
    administrator: Administrator,
    Body(wanted): Body<NewKey>,
) -> Result<Response, Problem> {
    let shared = &api.0;
    let expires = moment(
        "expires_at",
        wanted.expires_at.as_deref(),
        false,
        &shared.calendar,
    )?;
    let order = Order {
        name: wanted.name,
        department: wanted.department,
        scopes: wanted.scopes,
        expires,
    };
    let (secret, id) = (random()?, random()?);
    let policy = shared.hub.policy();
    let (key, stored) = apikeys::issue(
        order,
        &policy,
        &shared.pepper,
        secret,
        id,
        shared.clock.now(),
    )?;
    keys::add(&shared.store, &stored).await?;
    shared.hub.upsert_keys(vec![stored.to_link()]);
    administrator.has_done("issue_key", stored.id.as_str());
    let issued = IssuedKey {
        key,
        about: stored.into(),
    };
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, no_store, Json(issued)).into_response())
}

fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Problem::internal(&error))?;
    Ok(bytes)
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

impl From<StoredKey> for Key {
    fn from(key: StoredKey) -> Self {
        Self {
            id: key.id.0,
            name: key.name,
            department: key.department.0,
            scopes: key.scopes,
            created_at: shown(key.created),
            expires_at: key.expires.map(shown),
            revoked_at: key.revoked.map(shown),
        }
    }
}
