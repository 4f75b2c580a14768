//! Inclusion proofs (RFC 6962, section 2.1.1): that a record is in the log, shown by its
//! hash, the hashes beside its way up the tree, and a signed checkpoint. Written as C2SP
//! tlog-proof, so that whoever has the log's public key can check one without us.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::tree::{Hash, Tree, node_hash};

/// First line of a proof.
const HEAD: &str = "c2sp.org/tlog-proof@v1";

/// Why something does not prove that a record is in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not written as a tlog-proof.
    #[error("not a proof in the form `{HEAD}`")]
    Form,
    /// Its checkpoint is not one of the log.
    #[error("its checkpoint does not count: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The record is not the one that was proved, or the hashes are not of this tree.
    #[error("the record is not at place {index} of the log that was signed")]
    Root {
        /// The place that it claims.
        index: u64,
    },
}

/// That a leaf is at a place of a log that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The leaf's place, from 0.
    pub index: u64,
    /// The hashes beside its way up, the leaf's neighbour first.
    pub path: Vec<Hash>,
    /// The signed checkpoint, as it is.
    pub note: String,
}

impl Proof {
    /// Checks that `leaf` is in the log `origin`, which signs with `key`; returns the
    /// checkpoint that vouches for it.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check(
        &self,
        leaf: &Hash,
        origin: &str,
        key: &VerifyingKey,
    ) -> Result<Checkpoint, ProofError> {
        let checkpoint = Checkpoint::open(&self.note, origin, key)?;
        if self.root(leaf, checkpoint.size) == Some(checkpoint.root) {
            Ok(checkpoint)
        } else {
            Err(ProofError::Root { index: self.index })
        }
    }

    /// The root of a tree of `size` that has `leaf` in that place and these hashes beside
    /// its way up; `None` if there can be no such tree.
    fn root(&self, leaf: &Hash, size: u64) -> Option<Hash> {
        let beside = beside(self.index, size);
        if self.index >= size || beside.len() != self.path.len() {
            return None;
        }
        let up = beside.iter().zip(&self.path);
        Some(up.fold(*leaf, |root, (range, hash)| {
            if range.start < self.index {
                node_hash(hash, &root)
            } else {
                node_hash(&root, hash)
            }
        }))
    }

    /// As a C2SP tlog-proof.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\nindex {}\n", self.index);
        for hash in &self.path {
            text.push_str(&STANDARD.encode(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.note);
        text
    }

    /// Reads a C2SP tlog-proof; extra data in it means nothing here.
    ///
    /// # Errors
    /// [`ProofError::Form`].
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let (head, note) = text.split_once("\n\n").ok_or(ProofError::Form)?;
        let mut lines = head.lines().peekable();
        if lines.next() != Some(HEAD) {
            return Err(ProofError::Form);
        }
        lines.next_if(|line| line.starts_with("extra "));
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(decimal).ok_or(ProofError::Form)?;
        let path = lines
            .map(|line| Hash::try_from(STANDARD.decode(line).ok()?).ok())
            .collect::<Option<_>>()
            .ok_or(ProofError::Form)?;
        let note = note.to_owned();
        Ok(Self { index, path, note })
    }
}

/// A number as the formats of C2SP write it: no sign, no leading zero.
fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|n: &u64| n.to_string() == text)
}

/// Makes the proof of one leaf from all leaves of the log, which pass once, in order.
#[derive(Debug)]
pub struct Prover {
    index: u64,
    seen: u64,
    /// The leaf's neighbours, nearest first, and what has come of each.
    beside: Vec<(Range<u64>, Tree)>,
}

impl Prover {
    /// For the leaf at `index` of the first `size` leaves.
    #[must_use]
    pub fn new(index: u64, size: u64) -> Self {
        let beside = beside(index, size).into_iter();
        Self {
            index,
            seen: 0,
            beside: beside.map(|range| (range, Tree::default())).collect(),
        }
    }

    /// The next leaf of the log.
    pub fn push(&mut self, leaf: Hash) {
        let at = self.seen;
        self.seen += 1;
        let range = self.beside.iter_mut().find(|(r, _)| r.contains(&at));
        if let Some((_, tree)) = range {
            tree.push(leaf);
        }
    }

    /// The proof against the checkpoint of the size that [`Prover::new`] was told.
    #[must_use]
    pub fn finish(self, note: String) -> Proof {
        Proof {
            index: self.index,
            path: self.beside.iter().map(|(_, tree)| tree.root()).collect(),
            note,
        }
    }
}

/// The ranges of leaves whose subtrees stand beside the way from a leaf to the root of a
/// tree of `size`, nearest first.
fn beside(index: u64, size: u64) -> Vec<Range<u64>> {
    let mut beside = Vec::new();
    let mut within = 0..size;
    while within.contains(&index) && within.end - within.start > 1 {
        // The largest power of two below the number of leaves.
        let half = 1 << (u64::BITS - 1 - (within.end - within.start - 1).leading_zeros());
        let middle = within.start + half;
        if index < middle {
            beside.push(middle..within.end);
            within.end = middle;
        } else {
            beside.push(within.start..middle);
            within.start = middle;
        }
    }
    beside.reverse();
    beside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tree::leaf_hash;
    use ed25519_dalek::SigningKey;

    const ORIGIN: &str = "sekisho/x/00000000";

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn leaf(n: u64) -> Hash {
        leaf_hash(&n.to_be_bytes())
    }

    fn tree(size: u64) -> Tree {
        let mut tree = Tree::default();
        for n in 0..size {
            tree.push(leaf(n));
        }
        tree
    }

    fn prove(index: u64, size: u64, note: &str) -> Proof {
        let mut prover = Prover::new(index, size);
        for n in 0..size {
            prover.push(leaf(n));
        }
        prover.finish(note.to_owned())
    }

    fn signed(index: u64, size: u64) -> Proof {
        let checkpoint = Checkpoint::of(ORIGIN, &tree(size));
        prove(index, size, &checkpoint.sign(&key()))
    }

    #[test]
    fn every_leaf_of_every_small_log_is_proved_and_no_other() {
        for size in 1..40 {
            let root = Some(tree(size).root());
            for index in 0..size {
                let proof = prove(index, size, "");
                assert_eq!(proof.root(&leaf(index), size), root);
                assert_ne!(proof.root(&leaf(index + 1), size), root);
                let elsewhere = Proof {
                    index: (index + 1) % size,
                    ..proof
                };
                let moved = elsewhere.root(&leaf(index), size);
                assert_eq!(moved == root, size == 1, "{index} of {size}");
            }
        }
    }

    #[test]
    fn a_proof_of_another_log_or_with_a_changed_hash_is_none() {
        let public = key().verifying_key();
        let proof = Proof::parse(&signed(5, 9).to_text()).unwrap();
        assert!(proof.check(&leaf(5), ORIGIN, &public).is_ok());
        assert!(
            proof
                .check(&leaf(5), "sekisho/y/00000000", &public)
                .is_err()
        );
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
        assert!(proof.check(&leaf(5), ORIGIN, &other).is_err());
        let mut changed = proof.clone();
        changed.path[1][0] ^= 1;
        assert_eq!(
            changed.check(&leaf(5), ORIGIN, &public),
            Err(ProofError::Root { index: 5 })
        );
        let mut shorter = proof;
        shorter.path.pop();
        assert!(shorter.check(&leaf(5), ORIGIN, &public).is_err());
    }

    #[test]
    fn what_is_not_written_as_a_proof_is_refused() {
        let text = signed(2, 3).to_text();
        assert!(Proof::parse(&text).is_ok());
        assert!(Proof::parse(&text.replace("index 2", "extra eA==\nindex 2")).is_ok());
        for wrong in [
            text.replace("@v1", "@v2"),
            text.replace("index 2", "index 02"),
            text.replace("index 2", "index -2"),
            text.replace("index 2\n", ""),
            text.replace("\n\n", "\n"),
            text.replace("index 2\n", "index 2\nAAAA\n"),
            String::new(),
        ] {
            assert_eq!(Proof::parse(&wrong), Err(ProofError::Form), "{wrong}");
        }
    }
}
