//! Secrets of orders that may come again.

use sekisho_domain::{RecordId, UnixMillis};
use sekisho_scope::hash_key;
use sha2::{Digest as _, Sha256};

use crate::store::orders::Once;

/// Under which name somebody orders something: the caller and the caller's
/// `Idempotency-Key`.
#[derive(Clone)]
pub struct OrderName {
    caller: String,
    key: String,
}

impl OrderName {
    /// `caller`: tenant and object id.
    #[must_use]
    pub const fn new(caller: String, key: String) -> Self {
        Self { caller, key }
    }

    /// 32 bytes for the secret of a key: the same for the same salt, and nobody can tell
    /// them who lacks the pepper, the salt or the name.
    #[must_use]
    pub fn secret(&self, pepper: &[u8], salt: &[u8]) -> [u8; 32] {
        hash_key(pepper, &self.digest(b"secret", salt))
    }

    /// The id of an event that is told under this name. It begins with no time that a call could
    /// have arrived at, so that the log itself is asked for it.
    #[must_use]
    pub fn record_id(&self, pepper: &[u8]) -> RecordId {
        let hash = hash_key(pepper, &self.digest(b"event", &[]));
        let random = hash.first_chunk().copied().unwrap_or_default();
        RecordId::v7(UnixMillis(0), random)
    }

    /// The order as it is remembered.
    #[must_use]
    pub fn once(&self, pepper: &[u8], content: &[u8], salt: [u8; 32], at: UnixMillis) -> Once {
        Once {
            name: hash_key(pepper, &self.digest(b"name", &[])),
            content: Sha256::digest(content).into(),
            salt,
            at,
        }
    }

    /// Each part with its length, so that no two different lists look alike.
    fn digest(&self, purpose: &[u8], salt: &[u8]) -> [u8; 32] {
        let parts: [&[u8]; 5] = [
            b"sekisho order",
            purpose,
            salt,
            self.caller.as_bytes(),
            self.key.as_bytes(),
        ];
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(caller: &str, key: &str) -> OrderName {
        OrderName::new(caller.into(), key.into())
    }

    #[test]
    fn a_secret_follows_from_pepper_salt_caller_and_name_and_from_no_less() {
        let secret = name("t/a", "order-1").secret(b"pepper", &[1; 32]);
        assert_eq!(name("t/a", "order-1").secret(b"pepper", &[1; 32]), secret);
        for other in [
            name("t/a", "order-1").secret(b"salt", &[1; 32]),
            name("t/a", "order-1").secret(b"pepper", &[2; 32]),
            name("t/b", "order-1").secret(b"pepper", &[1; 32]),
            name("t/a", "order-2").secret(b"pepper", &[1; 32]),
            name("t/aorder", "-1").secret(b"pepper", &[1; 32]),
            name("t/a", "order-1")
                .once(b"pepper", b"", [1; 32], UnixMillis(0))
                .name,
        ] {
            assert_ne!(other, secret);
        }
    }
}
