//! People and subscription keys, as the sidecar pushes them.

use std::collections::HashMap;
use std::sync::Arc;

use sekisho_domain::{ApiKey, DepartmentId, KeyId, UnixMillis, User};

use crate::assurance::Assurance;
use crate::principal::Principal;

/// Who and what is known.
#[derive(Default)]
pub(crate) struct Directory {
    /// By tenant, then by object id: so that a look-up needs no key of its own.
    users: HashMap<String, HashMap<String, Arc<User>>>,
    keys: HashMap<[u8; 32], KnownKey>,
    hashes: HashMap<KeyId, [u8; 32]>,
}

/// A key, and whom its calls count for.
pub(crate) struct KnownKey {
    pub(crate) principal: Arc<Principal>,
    pub(crate) expires: Option<UnixMillis>,
    pub(crate) revoked: bool,
}

impl Directory {
    /// Adds or replaces a person. An entry that did not change stays the same object.
    pub(crate) fn upsert_user(&mut self, mut user: User) {
        user.tenant.make_ascii_lowercase();
        user.object_id.make_ascii_lowercase();
        let tenant = self.users.entry(user.tenant.clone()).or_default();
        match tenant.get_mut(&user.object_id) {
            Some(known) if **known == user => {}
            Some(known) => *known = Arc::new(user),
            None => {
                tenant.insert(user.object_id.clone(), Arc::new(user));
            }
        }
    }

    pub(crate) fn upsert_key(&mut self, key: ApiKey) {
        if let Some(former) = self.hashes.insert(key.id.clone(), key.hash)
            && former != key.hash
        {
            self.keys.remove(&former);
        }
        let principal = Principal {
            tenant: String::new(),
            object_id: String::new(),
            user: None,
            department: known_department(&key.department),
            title: None,
            application: None,
            key: Some(key.id),
            networks: key.networks,
            granted: key.scopes,
            roles: Vec::new(),
            assurance: Assurance::None,
        };
        self.keys.insert(
            key.hash,
            KnownKey {
                principal: Arc::new(principal),
                expires: key.expires,
                revoked: key.revoked,
            },
        );
    }

    /// Both in lower case.
    pub(crate) fn user(&self, tenant: &str, object_id: &str) -> Option<&Arc<User>> {
        self.users.get(tenant)?.get(object_id)
    }

    pub(crate) fn key(&self, hash: &[u8; 32]) -> Option<&KnownKey> {
        self.keys.get(hash)
    }
}

/// Over Link, no department is an empty one.
pub(crate) fn known_department(department: &DepartmentId) -> Option<DepartmentId> {
    (!department.0.is_empty()).then(|| department.clone())
}
