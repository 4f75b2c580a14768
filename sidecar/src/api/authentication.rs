//! Who is calling the API: the same checks as at the gateway, on the same snapshot.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use sekisho_domain::{
    ApiKey, Denial, DenialCode, DepartmentId, IssuerKey, KeyId, KeyMaterial, Policy, UnixMillis,
    User, UserId,
};
use sekisho_link::v1;
use sekisho_scope::{Authenticator, Principal, PureRust, find_credential};

use super::Api;
use super::problem::Problem;
use crate::snapshot::{SnapshotHub, Subscription};

const ADMINISTRATOR: &str = "Sekisho.Administrator";
const AUDITOR: &str = "Sekisho.Auditor";

/// Tells callers by their tokens.
pub(super) struct Authentication(Mutex<Current>);

/// The authenticator, and where it hears of changes.
struct Current {
    authenticator: Authenticator,
    changes: Subscription,
    policy: Arc<Policy>,
}

impl Authentication {
    pub(super) fn new(hub: &SnapshotHub) -> Self {
        let policy = hub.policy();
        let (full, changes) = hub.subscribe();
        let mut current = Current {
            authenticator: Authenticator::new(&policy),
            changes,
            policy,
        };
        current.apply(full);
        Self(Mutex::new(current))
    }

    fn principal(&self, headers: &HeaderMap, now: UnixMillis) -> Result<Arc<Principal>, Denial> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        let credential = find_credential(headers)?;
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(change) = current.changes.poll_next() {
            current.apply(change);
        }
        current
            .authenticator
            .authenticate(&credential, &PureRust, now)
    }
}

impl Current {
    fn apply(&mut self, snapshot: v1::Snapshot) {
        let authenticator = &mut self.authenticator;
        if snapshot.full {
            authenticator.clear_directory();
        }
        if !snapshot.key_pepper.is_empty() {
            authenticator.set_pepper(&snapshot.key_pepper);
        }
        for user in snapshot.users {
            authenticator.upsert_user(User {
                tenant: user.tenant,
                object_id: user.object_id,
                id: UserId(user.id),
                department: DepartmentId(user.department),
                title: None,
                active: user.active,
                tokens_valid_from: UnixMillis(0),
            });
        }
        for key in snapshot.keys {
            let Ok(hash) = key.hash.as_ref().try_into() else {
                continue;
            };
            authenticator.upsert_key(ApiKey {
                id: KeyId(key.id),
                hash,
                former: None,
                department: DepartmentId(key.department),
                user: None,
                networks: Vec::new(),
                scopes: self
                    .policy
                    .scopes
                    .granted_by_all(key.scopes.iter().map(String::as_str)),
                expires: (key.expires != 0).then_some(UnixMillis(key.expires)),
                revoked: key.revoked,
            });
        }
        for set in snapshot.issuer_keys {
            let keys = set.keys.into_iter().map(|key| IssuerKey {
                issuer: set.issuer.clone(),
                kid: key.kid,
                material: KeyMaterial::Rsa {
                    n: key.n.to_vec(),
                    e: key.e.to_vec(),
                },
                algorithm: None,
            });
            for unusable in authenticator.set_issuer_keys(&set.issuer, keys.collect()) {
                tracing::warn!(
                    error = &unusable as &dyn std::error::Error,
                    "a signing key is not used"
                );
            }
        }
    }
}

/// A caller who may read.
pub(super) struct Auditor;

/// A caller who may also change.
pub(super) struct Administrator {
    principal: Arc<Principal>,
}

impl Administrator {
    /// Notes a change and who made it in the sidecar's log.
    pub(super) fn has_done(&self, action: &'static str, target: &str) {
        let (tenant, object_id) = (&self.principal.tenant, &self.principal.object_id);
        tracing::info!(
            action,
            target,
            tenant,
            object_id,
            "an administrator changed something"
        );
    }
}

impl FromRequestParts<Api> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let principal = principal(parts, api)?;
        if !has_role(&principal, ADMINISTRATOR) {
            return Err(Problem::missing_role(ADMINISTRATOR));
        }
        Ok(Self { principal })
    }
}

impl FromRequestParts<Api> for Auditor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let principal = principal(parts, api)?;
        if !has_role(&principal, AUDITOR) && !has_role(&principal, ADMINISTRATOR) {
            return Err(Problem::missing_role(AUDITOR));
        }
        Ok(Self)
    }
}

/// Nobody, where no credential is shown; a wrong one is refused all the same.
impl OptionalFromRequestParts<Api> for Auditor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Option<Self>, Problem> {
        let headers = parts.headers.iter();
        let mut headers = headers.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        if find_credential(&mut headers) == Err(DenialCode::MissingCredential) {
            return Ok(None);
        }
        let auditor = <Self as FromRequestParts<Api>>::from_request_parts(parts, api).await?;
        Ok(Some(auditor))
    }
}

fn principal(parts: &Parts, api: &Api) -> Result<Arc<Principal>, Problem> {
    let shared = &api.0;
    let outcome = shared
        .authentication
        .principal(&parts.headers, shared.clock.now());
    if let (Err(denial), Some(fetcher)) = (&outcome, &shared.key_fetcher)
        && denial.code == DenialCode::UnknownSigningKey
    {
        fetcher.demand();
    }
    Ok(outcome?)
}

fn has_role(principal: &Principal, role: &str) -> bool {
    principal.roles.iter().any(|held| held == role)
}
