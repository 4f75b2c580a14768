//! Issuing a key.

use sekisho_domain::{KeyId, Policy, UnixMillis, UserId};
use sekisho_scope::{hash_key, new_key};

use super::rules::{self, OrderError};
use crate::store::keys::StoredKey;

/// What somebody wants a key for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// What people call it.
    pub name: String,
    /// Who pays: code or name of a department.
    pub department: String,
    /// The person it is for, known to be in the directory.
    pub user: Option<UserId>,
    /// What it grants.
    pub scopes: Vec<String>,
    /// Where it may be used from, CIDR; empty: everywhere.
    pub networks: Vec<String>,
    /// From when on it is refused.
    pub expires: Option<UnixMillis>,
}

/// A fresh key: the secret to show once, and what is stored.
///
/// `secret` and `id` are random bytes.
///
/// # Errors
/// See [`OrderError`].
pub fn issue(
    order: Order,
    policy: &Policy,
    pepper: &[u8],
    secret: [u8; 32],
    id: [u8; 8],
    now: UnixMillis,
) -> Result<(String, StoredKey), OrderError> {
    let secret = new_key(secret);
    let key = StoredKey {
        id: KeyId(format!("key-{:016x}", u64::from_be_bytes(id))),
        hash: hash_key(pepper, secret.as_bytes()).to_vec(),
        name: rules::name(&order.name)?,
        department: rules::department(&order.department, policy)?,
        user: order.user,
        scopes: rules::scopes(order.scopes, policy)?,
        networks: rules::networks(&order.networks)?,
        created: now,
        expires: rules::expiry(order.expires, now)?,
        revoked: None,
        rotated: None,
        former: None,
        version: 0,
    };
    Ok((secret, key))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    pub(in crate::apikeys) fn policy() -> Policy {
        Policy::parse(json!({
            "version": 1, "organisation": "x", "time_zone": "Asia/Tokyo", "currency": "JPY",
            "scopes": {"all": null, "text": "all"}, "apis": [],
            "issuers": [{"issuer": "https://i.example", "tenant": "t", "audiences": ["a"],
                         "jwks_uri": "https://i.example/keys"}],
            "departments": [{"id": "sales", "name": "営業部"}],
        }))
        .unwrap()
    }

    fn order() -> Order {
        Order {
            name: " batch ".into(),
            department: "営業部".into(),
            scopes: vec!["text".into()],
            networks: vec!["10.0.0.0/8".into()],
            expires: Some(UnixMillis(2000)),
            ..Order::default()
        }
    }

    fn issued(order: Order) -> Result<(String, StoredKey), OrderError> {
        let id = [0, 0, 0, 0, 0, 0, 1, 0x2a];
        issue(order, &policy(), b"pepper", [7; 32], id, UnixMillis(1000))
    }

    pub(in crate::apikeys) fn key() -> StoredKey {
        issued(order()).unwrap().1
    }

    #[test]
    fn a_key_is_stored_as_its_hash_alone() {
        let (secret, key) = issued(order()).unwrap();
        assert_eq!(key.id, KeyId::from("key-000000000000012a"));
        assert_eq!(
            (key.name.as_str(), key.department.as_str()),
            ("batch", "sales")
        );
        assert_eq!(key.hash, hash_key(b"pepper", secret.as_bytes()));
        assert!(sekisho_scope::is_well_formed_key(secret.as_bytes()));
        assert!(!format!("{key:?}").contains(&secret));
    }

    #[test]
    fn an_order_that_makes_no_sense_is_refused() {
        type Wrong = fn(&mut Order);
        let cases: [(Wrong, &str); 8] = [
            (|order| order.name = " ".into(), "`name`"),
            (|order| order.name = "a\nb".into(), "`name`"),
            (|order| order.department = "legal".into(), "`department`"),
            (|order| order.scopes.clear(), "`scopes`"),
            (|order| order.scopes.push("video".into()), "`scopes[1]`"),
            (
                |order| order.expires = Some(UnixMillis(1000)),
                "`expires_at`",
            ),
            (|order| order.networks.push("10.1".into()), "`networks[1]`"),
            (
                |order| order.networks = vec!["10.0.0.0/8".into(); 65],
                "`networks`",
            ),
        ];
        for (wrong, said) in cases {
            let mut order = order();
            wrong(&mut order);
            let error = issued(order).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
