//! What the sidecar knows about people, keys and issuers, as far as a filter needs it.

use crate::{DepartmentId, KeyId, ScopeSet, UnixMillis, UserId};

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
    /// Whether the account may be used at all.
    pub active: bool,
}

/// A subscription key. The secret itself is known to its holder alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its public id.
    pub id: KeyId,
    /// HMAC-SHA-256 of the secret under the installation's pepper.
    pub hash: [u8; 32],
    /// Who pays.
    pub department: DepartmentId,
    /// What it grants.
    pub scopes: ScopeSet,
    /// From this moment on it is refused; `None`: it does not expire.
    pub expires: Option<UnixMillis>,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// A public key of an issuer: RSA, for RS256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerKey {
    /// The `iss` whose tokens it verifies.
    pub issuer: String,
    /// The `kid` that tokens name.
    pub kid: String,
    /// Modulus, big endian.
    pub n: Vec<u8>,
    /// Public exponent, big endian.
    pub e: Vec<u8>,
}
