//! Issuing subscription keys. The secret is shown once; what stays is its keyed hash.

use sekisho_domain::{DepartmentId, KeyId, Policy, UnixMillis};
use sekisho_scope::{hash_key, new_key};

use crate::store::keys::StoredKey;

/// Longest name of a key in characters.
const LONGEST_NAME: usize = 100;

/// What somebody wants a key for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What people call it.
    pub name: String,
    /// Who pays: code or name of a department.
    pub department: String,
    /// What it grants.
    pub scopes: Vec<String>,
    /// From when on it is refused.
    pub expires: Option<UnixMillis>,
}

/// Why a key is not issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// A key that nobody can tell from others.
    #[error("`name` must be 1 to {LONGEST_NAME} characters, none of them a control character")]
    Name,
    /// Nobody would pay.
    #[error("`department` must be the code or name of a department of the policy")]
    UnknownDepartment,
    /// It would grant nothing.
    #[error("`scopes` must name at least one scope")]
    NoScope,
    /// It would grant something that does not exist.
    #[error("`scopes[{0}]` is no scope of the policy")]
    UnknownScope(usize),
    /// It would never be valid.
    #[error("`expires_at` must be in the future")]
    Expired,
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
    let name = order.name.trim();
    let length = name.chars().count();
    if length == 0 || length > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(OrderError::Name);
    }
    let department: DepartmentId = policy
        .department(&order.department)
        .map(|department| department.id.clone())
        .ok_or(OrderError::UnknownDepartment)?;
    if order.scopes.is_empty() {
        return Err(OrderError::NoScope);
    }
    if let Some(at) = order
        .scopes
        .iter()
        .position(|scope| policy.scopes.id(scope).is_none())
    {
        return Err(OrderError::UnknownScope(at));
    }
    if order.expires.is_some_and(|moment| moment <= now) {
        return Err(OrderError::Expired);
    }
    let secret = new_key(secret);
    let key = StoredKey {
        id: KeyId(format!("key-{:016x}", u64::from_be_bytes(id))),
        hash: hash_key(pepper, secret.as_bytes()).to_vec(),
        name: name.to_owned(),
        department,
        scopes: order.scopes,
        created: now,
        expires: order.expires,
        revoked: None,
    };
    Ok((secret, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn policy() -> Policy {
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
            expires: Some(UnixMillis(2000)),
        }
    }

    fn issued(order: Order) -> Result<(String, StoredKey), OrderError> {
        issue(
            order,
            &policy(),
            b"pepper",
            [7; 32],
            [0, 0, 0, 0, 0, 0, 1, 0x2a],
            UnixMillis(1000),
        )
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
        for (wrong, error) in [
            (
                Order {
                    name: " ".into(),
                    ..order()
                },
                OrderError::Name,
            ),
            (
                Order {
                    name: "a\nb".into(),
                    ..order()
                },
                OrderError::Name,
            ),
            (
                Order {
                    department: "legal".into(),
                    ..order()
                },
                OrderError::UnknownDepartment,
            ),
            (
                Order {
                    scopes: vec![],
                    ..order()
                },
                OrderError::NoScope,
            ),
            (
                Order {
                    scopes: vec!["text".into(), "video".into()],
                    ..order()
                },
                OrderError::UnknownScope(1),
            ),
            (
                Order {
                    expires: Some(UnixMillis(1000)),
                    ..order()
                },
                OrderError::Expired,
            ),
        ] {
            assert_eq!(issued(wrong), Err(error));
        }
    }
}
