//! Checkpoints (C2SP tlog-checkpoint): what the log was at a size.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{SigningKey, VerifyingKey};

use super::note::{self, NoteError};
use super::tree::{Hash, Tree};

/// The state of the log at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log; also the name of its key.
    pub origin: String,
    /// Number of records.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

/// Why something is not a checkpoint of this log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The signed note is none.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// What was signed is no checkpoint.
    #[error("the signed text is not a checkpoint")]
    Form,
    /// Of another log.
    #[error("a checkpoint of `{0}`")]
    OtherLog(String),
}

impl Checkpoint {
    /// The state of a tree.
    #[must_use]
    pub fn of(origin: &str, tree: &Tree) -> Self {
        Self {
            origin: origin.to_owned(),
            size: tree.size(),
            root: tree.root(),
        }
    }

    /// The signed note.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        let root = STANDARD.encode(self.root);
        let text = format!("{}\n{}\n{root}\n", self.origin, self.size);
        note::sign(&text, &self.origin, key)
    }

    /// Reads a note that the log `origin` signed with `key`.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(note: &str, origin: &str, key: &VerifyingKey) -> Result<Self, CheckpointError> {
        let text = note::open(note, origin, key)?;
        let mut lines = text.lines();
        let (Some(found), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Form);
        };
        if found != origin {
            return Err(CheckpointError::OtherLog(found.to_owned()));
        }
        let size = size.parse().map_err(|_| CheckpointError::Form)?;
        let root = STANDARD.decode(root).map_err(|_| CheckpointError::Form)?;
        let root = Hash::try_from(root).map_err(|_| CheckpointError::Form)?;
        let origin = origin.to_owned();
        Ok(Self { origin, size, root })
    }
}

/// The name of a log: organisation and instance, as one word that a signed note can
/// carry as its key's name.
#[must_use]
pub fn origin(organisation: &str, instance: [u8; 4]) -> String {
    let word: String = organisation
        .chars()
        .map(|c| {
            if c.is_whitespace() || c.is_control() || c == '+' {
                '-'
            } else {
                c
            }
        })
        .collect();
    let instance: String = instance.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sekisho/{word}/{instance}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_back_and_belongs_to_its_log() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let origin = origin("関所 株式会社+", [0, 1, 2, 255]);
        assert_eq!(origin, "sekisho/関所-株式会社-/000102ff");
        let mut tree = Tree::default();
        tree.push([9; 32]);
        let checkpoint = Checkpoint::of(&origin, &tree);
        let note = checkpoint.sign(&key);
        let public = key.verifying_key();
        assert_eq!(Checkpoint::open(&note, &origin, &public), Ok(checkpoint));
        assert!(Checkpoint::open(&note, "sekisho/other/000102ff", &public).is_err());
    }
}
