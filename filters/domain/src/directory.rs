//! What the sidecar knows about people, keys and issuers, as far as a filter needs it.

use crate::{DepartmentId, KeyId, Network, ScopeSet, TitleId, UnixMillis, UserId};

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The tenant of the person's account, lower case.
    pub tenant: String,
    /// The account's object id, lower case. With `tenant` it is the identity.
    pub object_id: String,
    /// The company's own id.
    pub id: UserId,
    /// Where the person works.
    pub department: DepartmentId,
    /// The person's title, by its code or name, where there is one.
    pub title: Option<TitleId>,
    /// Whether the account may be used at all.
    pub active: bool,
    /// Sessions were revoked at this moment: tokens that were issued before are refused. 0: never.
    pub tokens_valid_from: UnixMillis,
}

/// A subscription key. The secret itself is known to its holder alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its public id.
    pub id: KeyId,
    /// HMAC-SHA-256 of the secret under the installation's pepper.
    pub hash: [u8; 32],
    /// The secret before the last rotation, while it is still accepted.
    pub former: Option<FormerSecret>,
    /// Who pays.
    pub department: DepartmentId,
    /// The person it was issued to, if to one: refused while that account is disabled.
    pub user: Option<UserId>,
    /// What it grants.
    pub scopes: ScopeSet,
    /// Where it may be used from; empty: everywhere.
    pub networks: Vec<Network>,
    /// From this moment on it is refused; `None`: it does not expire.
    pub expires: Option<UnixMillis>,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// A secret that a rotation has replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormerSecret {
    /// As [`ApiKey::hash`].
    pub hash: [u8; 32],
    /// From this moment on it is unknown.
    pub until: UnixMillis,
}
