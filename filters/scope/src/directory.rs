//! People and subscription keys, as the sidecar pushes them. Every look-up takes as long
//! with a hundred thousand of them as with ten.

use std::collections::HashMap;
use std::sync::Arc;

use sekisho_domain::{ApiKey, DenialCode, DepartmentId, KeyId, UnixMillis, User, UserId};
use subtle::ConstantTimeEq as _;

use crate::assurance::Assurance;
use crate::principal::Principal;
use crate::refusal::Refused;
use crate::titles::Titles;

/// A hash, as keys are stored.
pub(crate) type KeyHash = [u8; 32];

/// Where a hash is looked for: its first half. The rest is compared in constant time.
type Place = [u8; 16];

/// What is looked up on every call, by what only the sidecar brings in: nobody can fill one
/// place of it. The standard library's hash, which withstands that, costs several times as much.
type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Who and what is known.
#[derive(Default)]
pub(crate) struct Directory {
    /// By tenant, then by object id: so that a look-up needs no key of its own.
    users: Map<String, Map<String, Arc<User>>>,
    /// Whom subscription keys name.
    by_id: HashMap<UserId, Arc<User>>,
    keys: HashMap<KeyId, KnownKey>,
    secrets: Map<Place, Secret>,
}

/// A secret that is or was a key's.
struct Secret {
    hash: KeyHash,
    key: KeyId,
    /// For one that a rotation has replaced: when it ends.
    until: Option<UnixMillis>,
}

/// A key, and whom its calls count for.
struct KnownKey {
    key: ApiKey,
    /// The person's entry that the principal was made with.
    user: Option<Arc<User>>,
    principal: Arc<Principal>,
}

impl Directory {
    /// Adds or replaces a person. An entry that did not change stays the same object.
    pub(crate) fn upsert_user(&mut self, mut user: User) {
        user.tenant.make_ascii_lowercase();
        user.object_id.make_ascii_lowercase();
        let tenant = self.users.entry(user.tenant.clone()).or_default();
        let known = tenant.get(&user.object_id);
        if known.is_some_and(|known| **known == user) {
            return;
        }
        if let Some(known) = known.filter(|known| known.id != user.id)
            && let Some(held) = self.by_id.get(&known.id)
            && Arc::ptr_eq(held, known)
        {
            self.by_id.remove(&known.id);
        }
        let user = Arc::new(user);
        tenant.insert(user.object_id.clone(), Arc::clone(&user));
        let former = self.by_id.insert(user.id.clone(), Arc::clone(&user));
        // A person who got another account has lost the former one.
        if let Some(former) = former
            && (&former.tenant, &former.object_id) != (&user.tenant, &user.object_id)
            && let Some(tenant) = self.users.get_mut(&former.tenant)
            && tenant
                .get(&former.object_id)
                .is_some_and(|held| Arc::ptr_eq(held, &former))
        {
            tenant.remove(&former.object_id);
        }
    }

    /// Adds or replaces a key, with all its secrets.
    pub(crate) fn upsert_key(&mut self, key: ApiKey) {
        if let Some(known) = self.keys.get(&key.id) {
            let former = known.key.former.map(|former| former.hash);
            for hash in [Some(known.key.hash), former].into_iter().flatten() {
                let place = place(&hash);
                if self.secrets.get(&place).is_some_and(|s| s.key == key.id) {
                    self.secrets.remove(&place);
                }
            }
        }
        let current = (key.hash, None);
        let former = key.former.map(|former| (former.hash, Some(former.until)));
        // The current one last: should both be the same secret, it does not end.
        for (hash, until) in former.into_iter().chain([current]) {
            let secret = Secret {
                hash,
                key: key.id.clone(),
                until,
            };
            self.secrets.insert(place(&hash), secret);
        }
        let known = KnownKey {
            principal: Arc::new(principal(&key, None, &Titles::default())),
            user: None,
            key,
        };
        self.keys.insert(known.key.id.clone(), known);
    }

    /// Both in lower case.
    pub(crate) fn user(&self, tenant: &str, object_id: &str) -> Option<&Arc<User>> {
        self.users.get(tenant)?.get(object_id)
    }

    /// Whom the calls with this secret count for. `needs_user`: a person whom a key names has
    /// to be known.
    ///
    /// # Errors
    /// `UnknownKey`, or, with whose key it is, `RevokedKey`, `ExpiredKey`, `InactiveUser` or
    /// `UnknownUser`.
    pub(crate) fn by_secret(
        &mut self,
        hash: &KeyHash,
        titles: &Titles,
        needs_user: bool,
        now: UnixMillis,
    ) -> Result<Arc<Principal>, Refused> {
        let secret = self
            .secrets
            .get(&place(hash))
            .filter(|secret| bool::from(secret.hash.ct_eq(hash)))
            .filter(|secret| secret.until.is_none_or(|until| now < until))
            .ok_or(DenialCode::UnknownKey)?;
        let known = self
            .keys
            .get_mut(&secret.key)
            .ok_or(DenialCode::UnknownKey)?;
        let refused = |code: DenialCode| Err(Refused::of(code, known.principal.identity()));
        if known.key.revoked {
            return refused(DenialCode::RevokedKey);
        }
        if known.key.expires.is_some_and(|expires| now >= expires) {
            return refused(DenialCode::ExpiredKey);
        }
        if let Some(id) = &known.key.user {
            let user = self.by_id.get(id);
            match user {
                Some(user) if !user.active => return refused(DenialCode::InactiveUser),
                None if needs_user => return refused(DenialCode::UnknownUser),
                _ => {}
            }
            if user.map(Arc::as_ptr) != known.user.as_ref().map(Arc::as_ptr) {
                known.user = user.cloned();
                known.principal = Arc::new(principal(&known.key, user, titles));
            }
        }
        Ok(Arc::clone(&known.principal))
    }
}

fn place(hash: &KeyHash) -> Place {
    hash.first_chunk().copied().unwrap_or_default()
}

fn principal(key: &ApiKey, user: Option<&Arc<User>>, titles: &Titles) -> Principal {
    Principal {
        tenant: String::new(),
        object_id: String::new(),
        user: key.user.clone(),
        department: known_department(&key.department),
        title: user.and_then(|user| titles.of(user)),
        application: None,
        key: Some(key.id.clone()),
        networks: key.networks.clone(),
        granted: key.scopes,
        roles: Vec::new(),
        assurance: Assurance::None,
    }
}

/// Over Link, no department is an empty one.
pub(crate) fn known_department(department: &DepartmentId) -> Option<DepartmentId> {
    (!department.0.is_empty()).then(|| department.clone())
}
