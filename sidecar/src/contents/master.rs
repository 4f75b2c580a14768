//! The key under which the departments' keys are encrypted. It is not in the database.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::seal::{DataKey, NONCE, NotOurs};

/// What these ciphertexts are for, before the department and the day.
const PURPOSE: &[u8] = b"sekisho contents key v1";

/// The master key.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

impl MasterKey {
    /// From 32 random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Encrypts the key of a department's day. `nonce`: random.
    pub(crate) fn wrap(
        &self,
        key: &DataKey,
        nonce: [u8; NONCE],
        department: &str,
        day: &str,
    ) -> Vec<u8> {
        let (msg, aad) = (key.bytes(), about(department, day));
        let payload = Payload { msg, aad: &aad };
        // Of 32 bytes nothing is too long.
        let sealed = self.cipher().encrypt(XNonce::from_slice(&nonce), payload);
        [&nonce[..], &sealed.unwrap_or_default()].concat()
    }

    /// Decrypts it.
    pub(crate) fn unwrap(
        &self,
        wrapped: &[u8],
        department: &str,
        day: &str,
    ) -> Result<DataKey, NotOurs> {
        let (nonce, msg) = wrapped.split_at_checked(NONCE).ok_or(NotOurs)?;
        let aad = about(department, day);
        let payload = Payload { msg, aad: &aad };
        let key = self.cipher().decrypt(XNonce::from_slice(nonce), payload);
        let key = Zeroizing::new(key.map_err(|_| NotOurs)?);
        let key: &[u8; 32] = key.as_slice().try_into().map_err(|_| NotOurs)?;
        Ok(DataKey::new(*key))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(Key::from_slice(self.0.as_slice()))
    }
}

fn about(department: &str, day: &str) -> Vec<u8> {
    // A day has a fixed length: no two pairs read the same.
    [PURPOSE, b"\0", day.as_bytes(), b"\0", department.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_opened_by_its_master_for_its_department_and_day_alone() {
        let master = MasterKey::new([1; 32]);
        let wrapped = master.wrap(&DataKey::new([9; 32]), [3; NONCE], "sales", "2026-11-23");
        assert!(!wrapped.windows(32).any(|part| part == [9; 32]));
        let open = |master: &MasterKey, department, day| master.unwrap(&wrapped, department, day);
        let key = open(&master, "sales", "2026-11-23").unwrap();
        assert_eq!(key.bytes(), &[9; 32]);
        assert!(open(&master, "hr", "2026-11-23").is_err());
        assert!(open(&master, "sales", "2026-11-24").is_err());
        let other = MasterKey::new([2; 32]);
        assert!(open(&other, "sales", "2026-11-23").is_err());
        assert!(
            master
                .unwrap(&wrapped[..10], "sales", "2026-11-23")
                .is_err()
        );
    }
}
