//! Replacing a key's secret. The former one stays valid for a while, so that nobody has to
//! stop for it.

use sekisho_domain::UnixMillis;
use sekisho_scope::{hash_key, new_key};

use crate::store::keys::{Former, StoredKey};

/// How long the former secret stays valid if nothing else is said: a day.
pub const DEFAULT_OVERLAP_SECONDS: u64 = 24 * 3600;
/// The longest overlap: 30 days.
pub const MOST_OVERLAP_SECONDS: u64 = 30 * 24 * 3600;

/// Why a key is not rotated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// A leaked key must not come back to life.
    #[error("the key is revoked; issue a new one")]
    Revoked,
    /// It would be refused all the same.
    #[error("the key has expired; move `expires_at` first, or issue a new one")]
    Expired,
}

/// Gives the key a new secret, which is returned. The one that it had is valid for
/// `overlap_seconds` more (at most [`MOST_OVERLAP_SECONDS`]); one from an earlier rotation
/// is not any longer. `secret`: random bytes.
///
/// # Errors
/// [`RotationError`].
pub fn rotate(
    key: &mut StoredKey,
    pepper: &[u8],
    secret: [u8; 32],
    overlap_seconds: u64,
    now: UnixMillis,
) -> Result<String, RotationError> {
    if key.revoked.is_some() {
        return Err(RotationError::Revoked);
    }
    if key.expires.is_some_and(|expires| expires <= now) {
        return Err(RotationError::Expired);
    }
    let secret = new_key(secret);
    let hash = hash_key(pepper, secret.as_bytes()).to_vec();
    let former = std::mem::replace(&mut key.hash, hash);
    let overlap = overlap_seconds.min(MOST_OVERLAP_SECONDS) * 1000;
    key.former = (overlap > 0).then(|| Former {
        hash: former,
        until: now.plus_millis(overlap),
    });
    key.rotated = Some(now);
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apikeys::order::tests::key;

    const NOW: UnixMillis = UnixMillis(1500);

    #[test]
    fn the_former_secret_stays_for_the_overlap_and_the_one_before_it_goes() {
        let mut key = key();
        let first = key.hash.clone();
        let secret = rotate(&mut key, b"pepper", [8; 32], 60, NOW).unwrap();
        assert_eq!(key.hash, hash_key(b"pepper", secret.as_bytes()));
        let former = key.former.clone().unwrap();
        assert_eq!((former.hash, former.until), (first, UnixMillis(61_500)));
        let second = key.hash.clone();
        rotate(&mut key, b"pepper", [9; 32], 60, NOW).unwrap();
        assert_eq!(key.former.unwrap().hash, second);
    }

    #[test]
    fn without_overlap_the_former_secret_ends_at_once() {
        let mut key = key();
        rotate(&mut key, b"pepper", [8; 32], 0, NOW).unwrap();
        assert_eq!((key.former, key.rotated), (None, Some(NOW)));
    }

    #[test]
    fn a_revoked_or_expired_key_is_not_rotated() {
        let mut revoked = key();
        revoked.revoked = Some(NOW);
        let before = revoked.clone();
        let error = rotate(&mut revoked, b"pepper", [8; 32], 60, NOW);
        assert_eq!((error, revoked), (Err(RotationError::Revoked), before));
        let late = UnixMillis(2000);
        let error = rotate(&mut key(), b"pepper", [8; 32], 60, late);
        assert_eq!(error, Err(RotationError::Expired));
    }
}
