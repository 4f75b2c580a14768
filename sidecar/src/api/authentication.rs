//! Who is calling the API: the same checks as at the gateway, on the same snapshot.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::request::Parts;
use sekisho_domain::record::Caller;
use sekisho_domain::{Denial, DenialCode, Policy, UnixMillis};
use sekisho_link::{directory, v1};
use sekisho_scope::{Authenticator, MissingKey, Principal, PureRust, find_credential};

use super::Api;
use super::apikey_issue::random;
use super::problem::Problem;
use crate::events::Author;
use crate::snapshot::{SnapshotHub, Subscription};

/// How long a caller waits whose token names a key that is not known yet.
const KEY_PATIENCE: Duration = Duration::from_secs(1);

/// Tells callers by their tokens.
pub(super) struct Authentication(Mutex<Current>);

/// The authenticator, and where it hears of changes.
struct Current {
    authenticator: Authenticator,
    /// The next one, of which not all parts have come.
    incoming: Option<Authenticator>,
    changes: Subscription,
    hub: SnapshotHub,
    policy: Arc<Policy>,
}

impl Authentication {
    pub(super) fn new(hub: &SnapshotHub) -> Self {
        let policy = hub.policy();
        Self(Mutex::new(Current {
            authenticator: Authenticator::new(&policy),
            incoming: None,
            changes: hub.subscribe(),
            hub: hub.clone(),
            policy,
        }))
    }

    /// The caller; or why there is none, with the signing key that would have to be known.
    fn principal(
        &self,
        headers: &HeaderMap,
        now: UnixMillis,
    ) -> Result<Arc<Principal>, (Denial, Option<MissingKey>)> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        let credential = find_credential(headers).map_err(|code| (code.into(), None))?;
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(change) = current.changes.poll_next() {
            current.apply(&change);
        }
        let authenticator = &mut current.authenticator;
        let outcome = authenticator.authenticate(&credential, &PureRust, now);
        outcome.map_err(|denial| {
            let is_missing = denial.code == DenialCode::UnknownSigningKey;
            let missing = is_missing.then(|| authenticator.missing_key(&credential));
            (denial, missing.flatten())
        })
    }
}

impl Current {
    fn apply(&mut self, snapshot: &v1::Snapshot) {
        if snapshot.full {
            self.policy = self.hub.policy();
            self.incoming = Some(Authenticator::new(&self.policy));
        }
        let authenticator = self.incoming.as_mut().unwrap_or(&mut self.authenticator);
        if !snapshot.key_pepper.is_empty() {
            authenticator.set_pepper(&snapshot.key_pepper);
        }
        for user in &snapshot.users {
            authenticator.upsert_user(directory::user(user));
        }
        for key in &snapshot.keys {
            let (key, problem) = directory::api_key(key, &self.policy.scopes);
            if let Some(problem) = problem {
                tracing::error!(%problem, "a subscription key is refused");
            }
            authenticator.upsert_key(key);
        }
        for set in &snapshot.issuer_keys {
            let (keys, _) = directory::issuer_keys(set);
            for unusable in authenticator.set_issuer_keys(&set.issuer, keys) {
                tracing::warn!(%unusable, "a signing key is not used");
            }
        }
        if !snapshot.more
            && let Some(complete) = self.incoming.take()
        {
            self.authenticator = complete;
        }
    }
}

/// Whether the request shows a credential, a right one or a wrong one.
pub(super) fn shows_credential(parts: &Parts) -> bool {
    let headers = parts.headers.iter();
    let mut headers = headers.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    find_credential(&mut headers) != Err(DenialCode::MissingCredential)
}

/// Whose doing is put on record.
pub(super) fn author(
    principal: &Principal,
    address: Option<IpAddr>,
    now: UnixMillis,
) -> Result<Author, Problem> {
    let given = |text: &str| (!text.is_empty()).then(|| Cow::Owned(text.to_owned()));
    let caller = Caller {
        tenant: given(&principal.tenant),
        object_id: given(&principal.object_id),
        user: principal
            .user
            .as_ref()
            .and_then(|user| given(user.as_str())),
        department: principal
            .department
            .as_ref()
            .and_then(|department| given(department.as_str())),
        application: principal.application.as_deref().and_then(given),
        key: principal.key.as_ref().and_then(|key| given(key.as_str())),
        address: address.map(|address| Cow::Owned(address.to_string())),
    };
    Ok(Author::new(caller, now, random()?))
}

/// The caller. If the token names a signing key that is not known, its issuer is asked for
/// it first, as at the gateway.
pub(super) async fn principal(parts: &Parts, api: &Api) -> Result<Arc<Principal>, Problem> {
    let shared = &api.0;
    let look = || {
        let now = shared.clock.now();
        shared.authentication.principal(&parts.headers, now)
    };
    let denial = match (look(), &shared.key_sets) {
        (Ok(principal), _) => return Ok(principal),
        (Err((_, Some(missing))), Some(key_sets)) => {
            let looking = key_sets.look(&missing.issuer, &missing.kid);
            // Late is as good as nothing found.
            let _ = tokio::time::timeout(KEY_PATIENCE, looking).await;
            match look() {
                Ok(principal) => return Ok(principal),
                Err((denial, _)) => denial,
            }
        }
        (Err((denial, _)), _) => denial,
    };
    Err(denial.into())
}
