//! Subscription keys: `sk-sekisho-`, 256 random bits, checksum.
//!
//! The prefix lets secret scanners find leaked keys; the checksum lets them and us tell a
//! key from something that only looks like one, before anything is looked up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// What every subscription key begins with.
pub const KEY_PREFIX: &str = "sk-sekisho-";

/// 32 bytes in base64url without padding.
const BODY_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;
/// Block of SHA-256, bytes.
const BLOCK: usize = 64;

/// The key of 32 random bytes: prefix, 43 characters of base64url, 6 of checksum.
#[must_use]
pub fn new_key(random: [u8; 32]) -> String {
    let mut key = format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let checksum = checksum(key.as_bytes());
    key.push_str(&checksum);
    key
}

/// Whether prefix, length and checksum are those of a key that [`new_key`] made. Says
/// nothing about whether it was ever issued.
#[must_use]
pub fn is_well_formed_key(key: &[u8]) -> bool {
    let body = KEY_PREFIX.len() + BODY_CHARS;
    key.len() == body + CHECKSUM_CHARS
        && key.starts_with(KEY_PREFIX.as_bytes())
        && key
            .split_at_checked(body)
            .is_some_and(|(text, sum)| checksum(text).as_bytes() == sum)
}

/// The first 36 bits of the text's SHA-256, in base64url.
fn checksum(text: &[u8]) -> String {
    let mut sum = URL_SAFE_NO_PAD.encode(Sha256::digest(text));
    sum.truncate(CHECKSUM_CHARS);
    sum
}

/// HMAC-SHA-256 (RFC 2104) of a key under the installation's pepper: what is stored and
/// pushed in the key's place.
#[must_use]
pub fn hash_key(pepper: &[u8], secret: &[u8]) -> [u8; 32] {
    // RFC 2104, section 2: longer keys are hashed first, shorter ones filled up with zeros.
    let mut block = [0u8; BLOCK];
    if pepper.len() > BLOCK {
        let digest = Sha256::digest(pepper);
        block
            .iter_mut()
            .zip(digest)
            .for_each(|(to, from)| *to = from);
    } else {
        block
            .iter_mut()
            .zip(pepper)
            .for_each(|(to, from)| *to = *from);
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(secret);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_new_key_is_well_formed_and_recognisable() {
        for random in [[0u8; 32], [0xff; 32], [0xa5; 32]] {
            let key = new_key(random);
            assert_eq!(key.len(), 60);
            assert!(key.starts_with("sk-sekisho-"));
            assert!(is_well_formed_key(key.as_bytes()), "{key}");
        }
        assert_ne!(new_key([1; 32]), new_key([2; 32]));
    }

    #[test]
    fn every_changed_character_of_a_key_is_noticed() {
        let key = new_key([7; 32]).into_bytes();
        for at in 0..key.len() {
            let mut changed = key.clone();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(!is_well_formed_key(&changed), "at {at}");
        }
        assert!(!is_well_formed_key(&key[..key.len() - 1]));
        assert!(!is_well_formed_key(&[&key[..], b"A"].concat()));
        assert!(!is_well_formed_key(b""));
        assert!(!is_well_formed_key("sk-sekisho-ü".as_bytes()));
    }

    #[test]
    fn the_form_of_keys_stays_what_issued_keys_have() {
        assert_eq!(
            new_key([0; 32]),
            "sk-sekisho-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA2tpQaJ"
        );
    }

    #[test]
    fn hashes_are_those_of_rfc_4231() {
        // Test cases 1, 2 and 6 (a key longer than a block).
        assert_eq!(
            hex(&hash_key(&[0x0b; 20], b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(&hash_key(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&hash_key(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
