//! A piece of a body, encrypted.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use sekisho_domain::RecordId;
use sekisho_link::Half;
use zeroize::Zeroizing;

/// Bytes of a nonce: so many that random ones do not meet.
pub(crate) const NONCE: usize = 24;

/// What these ciphertexts are for.
const PURPOSE: &[u8] = b"sekisho contents v1";

/// A ciphertext that this key has not made for this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ciphertext is not what was written there")]
pub(crate) struct NotOurs;

/// The key of a department's day.
pub(crate) struct DataKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey")
    }
}

/// Where a piece belongs: it can be opened nowhere else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot<'a> {
    pub(crate) record_id: RecordId,
    pub(crate) half: Half,
    pub(crate) number: u32,
    pub(crate) department: &'a str,
}

impl Spot<'_> {
    fn associated(&self) -> Vec<u8> {
        // All but the last have fixed lengths: no two spots read the same.
        let half = (self.half as i32).to_be_bytes();
        let number = self.number.to_be_bytes();
        let department = self.department.as_bytes();
        [PURPOSE, &self.record_id.0, &half, &number, department].concat()
    }
}

impl DataKey {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Encrypts a piece. `nonce`: random.
    pub(crate) fn seal(&self, piece: &[u8], nonce: [u8; NONCE], spot: Spot<'_>) -> Vec<u8> {
        let aad = spot.associated();
        let payload = Payload {
            msg: piece,
            aad: &aad,
        };
        // A piece is far from too long.
        let sealed = self.cipher().encrypt(XNonce::from_slice(&nonce), payload);
        [&nonce[..], &sealed.unwrap_or_default()].concat()
    }

    /// Decrypts a piece.
    pub(crate) fn open(&self, sealed: &[u8], spot: Spot<'_>) -> Result<Vec<u8>, NotOurs> {
        let (nonce, msg) = sealed.split_at_checked(NONCE).ok_or(NotOurs)?;
        let aad = spot.associated();
        let payload = Payload { msg, aad: &aad };
        let piece = self.cipher().decrypt(XNonce::from_slice(nonce), payload);
        piece.map_err(|_| NotOurs)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(Key::from_slice(self.0.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPOT: Spot<'static> = Spot {
        record_id: RecordId([1; 16]),
        half: Half::Request,
        number: 0,
        department: "sales",
    };

    #[test]
    fn a_piece_is_opened_in_its_place_alone() {
        let key = DataKey::new([7; 32]);
        let sealed = key.seal(b"a prompt", [3; NONCE], SPOT);
        assert!(!sealed.windows(6).any(|part| part == b"prompt"));
        assert_eq!(key.open(&sealed, SPOT).unwrap(), b"a prompt");
        let elsewhere = [
            Spot {
                record_id: RecordId([2; 16]),
                ..SPOT
            },
            Spot {
                half: Half::Response,
                ..SPOT
            },
            Spot { number: 1, ..SPOT },
            Spot {
                department: "hr",
                ..SPOT
            },
        ];
        for spot in elsewhere {
            assert_eq!(key.open(&sealed, spot), Err(NotOurs));
        }
        assert_eq!(DataKey::new([8; 32]).open(&sealed, SPOT), Err(NotOurs));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(&changed, SPOT), Err(NotOurs));
            assert_eq!(key.open(&sealed[..at], SPOT), Err(NotOurs));
        }
    }
}
