//! Signed notes (C2SP signed-note) with Ed25519, the form of checkpoints.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// The algorithm byte of Ed25519 (C2SP signed-note, "Signature types").
const ED25519: u8 = 0x01;

/// Why a note is not signed by the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not text, a blank line and signature lines.
    #[error("not a signed note")]
    Form,
    /// No signature line names this key.
    #[error("not signed by the key `{0}`")]
    OtherKey(String),
    /// The signature is wrong.
    #[error("the signature of `{0}` does not fit")]
    Signature(String),
}

/// Signs `text`, which must end with a newline, as `name` (no spaces, no plus sign).
#[must_use]
pub fn sign(text: &str, name: &str, key: &SigningKey) -> String {
    let signature = key.sign(text.as_bytes());
    let mut bytes = key_hash(name, &key.verifying_key()).to_vec();
    bytes.extend_from_slice(&signature.to_bytes());
    format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(bytes))
}

/// The text of a note that `name` signed with `key`.
///
/// # Errors
/// [`NoteError`].
pub fn open<'n>(note: &'n str, name: &str, key: &VerifyingKey) -> Result<&'n str, NoteError> {
    let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Form)?;
    // The text keeps its last newline.
    let text = note.get(..text.len() + 1).ok_or(NoteError::Form)?;
    let hash = key_hash(name, key);
    for line in signatures.lines() {
        let line = line.strip_prefix("\u{2014} ").ok_or(NoteError::Form)?;
        let (signer, encoded) = line.split_once(' ').ok_or(NoteError::Form)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NoteError::Form)?;
        let Some((found, signature)) = bytes.split_first_chunk::<4>() else {
            return Err(NoteError::Form);
        };
        if signer != name || *found != hash {
            continue;
        }
        let wrong = || NoteError::Signature(name.to_owned());
        let signature = Signature::from_slice(signature).map_err(|_| wrong())?;
        key.verify_strict(text.as_bytes(), &signature)
            .map_err(|_| wrong())?;
        return Ok(text);
    }
    Err(NoteError::OtherKey(name.to_owned()))
}

/// The verifier key in the form that other tools for signed notes read.
#[must_use]
pub fn verifier_key(name: &str, key: &VerifyingKey) -> String {
    let hash: String = key_hash(name, key)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut bytes = vec![ED25519];
    bytes.extend_from_slice(key.as_bytes());
    format!("{name}+{hash}+{}", STANDARD.encode(bytes))
}

fn key_hash(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let mut hasher = Sha256::new();
    hasher.update(name.as_bytes());
    hasher.update([b'\n', ED25519]);
    hasher.update(key.as_bytes());
    let hash: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn a_signed_note_opens_and_any_change_shows() {
        let text = "sekisho/x\n3\nAAAA\n";
        let note = sign(text, "sekisho/x", &key(1));
        let public = key(1).verifying_key();
        assert_eq!(open(&note, "sekisho/x", &public), Ok(text));
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(open(&changed, "sekisho/x", &public).is_err(), "byte {at}");
            }
        }
        let other = key(2).verifying_key();
        assert!(open(&note, "sekisho/x", &other).is_err());
        assert!(open("", "sekisho/x", &public).is_err());
    }

    /// The verifier key and note in the documentation of golang.org/x/mod/sumdb/note.
    #[test]
    fn notes_of_the_go_implementation_open() {
        let note = "If you think cryptography is the answer to your problem,\n\
            then you don't know what your problem is.\n\n\
            \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let bytes = STANDARD.decode(vkey.rsplit('+').next().unwrap()).unwrap();
        let key = VerifyingKey::from_bytes(bytes[1..].try_into().unwrap()).unwrap();
        assert_eq!(verifier_key("PeterNeumann", &key), vkey);
        assert!(open(note, "PeterNeumann", &key).unwrap().ends_with("is.\n"));
    }
}
