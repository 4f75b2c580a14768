//! The policy, people and keys of `cases.yaml`, and the two implementations of RS256.

use std::cell::Cell;
use std::sync::Arc;

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use rsa::RsaPublicKey;
use rsa::pkcs8::DecodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use sekisho_domain::{ApiKey, Denial, IssuerKey, KeyMaterial, Policy, UnixMillis, User};
use sekisho_scope::{
    Authenticator, Credential, Principal, PureRust, Rs256, VerifyingKey, hash_key, new_key,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::table::Case;
use crate::tokens;

/// 2025-07-01T00:00:00Z and half a second.
pub(crate) const NOW: UnixMillis = UnixMillis(1_751_328_000_500);
pub(crate) const PEPPER: &[u8] = b"pepper of the tests";

/// `cases.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct World {
    pub(crate) policy: Value,
    issuer_keys: Vec<PublishedKey>,
    users: Vec<Entry>,
    api_keys: Vec<Key>,
    pub(crate) claims: serde_json::Map<String, Value>,
    pub(crate) cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishedKey {
    issuer: String,
    kid: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    tenant: String,
    object_id: String,
    id: String,
    department: String,
    active: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    id: String,
    secret: u8,
    department: String,
    scopes: Vec<String>,
    #[serde(default)]
    expires: Option<String>,
    #[serde(default)]
    revoked: bool,
}

pub(crate) fn world() -> World {
    serde_yaml_ng::from_str(include_str!("../../cases.yaml")).unwrap()
}

impl World {
    pub(crate) fn policy(&self, directory: &str) -> Policy {
        let mut file = self.policy.clone();
        file["directory"] = json!(directory);
        Policy::parse(file).unwrap()
    }

    /// The keys of an issuer as its key set has them.
    pub(crate) fn issuer_keys(&self, issuer: &str) -> Vec<IssuerKey> {
        let published = self.issuer_keys.iter().filter(|key| key.issuer == issuer);
        published
            .map(|key| IssuerKey {
                issuer: key.issuer.clone(),
                kid: key.kid.clone(),
                material: KeyMaterial::Rsa {
                    n: tokens::public(&key.key).n().to_bytes_be(),
                    e: tokens::public(&key.key).e().to_bytes_be(),
                },
                algorithm: None,
            })
            .collect()
    }

    pub(crate) fn authenticator(&self, policy: &Policy) -> Authenticator {
        let mut authenticator = Authenticator::new(policy);
        for issuer in &policy.issuers {
            let unusable =
                authenticator.set_issuer_keys(&issuer.issuer, self.issuer_keys(&issuer.issuer));
            assert_eq!(unusable, []);
        }
        authenticator.set_pepper(PEPPER);
        for user in &self.users {
            authenticator.upsert_user(User {
                tenant: user.tenant.clone(),
                object_id: user.object_id.clone(),
                id: user.id.as_str().into(),
                department: user.department.as_str().into(),
                title: None,
                active: user.active,
                tokens_valid_from: UnixMillis(0),
            });
        }
        for key in &self.api_keys {
            authenticator.upsert_key(api_key(policy, key));
        }
        authenticator
    }
}

fn api_key(policy: &Policy, key: &Key) -> ApiKey {
    ApiKey {
        id: key.id.as_str().into(),
        hash: hash_key(PEPPER, new_key([key.secret; 32]).as_bytes()),
        former: None,
        department: key.department.as_str().into(),
        user: None,
        networks: Vec::new(),
        scopes: policy
            .scopes
            .granted_by_all(key.scopes.iter().map(String::as_str)),
        expires: key.expires.as_deref().map(|text| {
            let seconds = tokens::relative(text).unwrap();
            UnixMillis(seconds * 1000 + NOW.0 % 1000)
        }),
        revoked: key.revoked,
    }
}

/// Stands for the host: takes the key as DER and verifies with ring, whose RSA is BoringSSL's.
pub(crate) struct Host;

impl Rs256 for Host {
    fn verify(&self, key: &VerifyingKey, _token: &[u8], signed: &[u8], signature: &[u8]) -> bool {
        let key = RsaPublicKey::from_public_key_der(key.spki_der()).unwrap();
        let (n, e) = (key.n().to_bytes_be(), key.e().to_bytes_be());
        RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            .is_ok()
    }
}

pub(crate) const BOTH: [(&str, &dyn Rs256); 2] = [("jwt-simple", &PureRust), ("host", &Host)];

/// Counts how often a signature was verified.
#[derive(Default)]
pub(crate) struct Counting(pub(crate) Cell<usize>);

impl Rs256 for Counting {
    fn verify(&self, key: &VerifyingKey, token: &[u8], signed: &[u8], signature: &[u8]) -> bool {
        self.0.set(self.0.get() + 1);
        Host.verify(key, token, signed, signature)
    }
}

pub(crate) fn bearer(
    authenticator: &mut Authenticator,
    token: &[u8],
    rs256: &dyn Rs256,
    now: UnixMillis,
) -> Result<Arc<Principal>, &'static str> {
    code(authenticator.authenticate(&Credential::Bearer(token), rs256, now))
}

pub(crate) fn code<T>(outcome: Result<T, Denial>) -> Result<T, &'static str> {
    outcome.map_err(|denial| denial.code.as_str())
}
