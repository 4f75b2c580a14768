//! The checkpoints of both places.

use std::path::PathBuf;

use ed25519_dalek::VerifyingKey;
use sqlx::{AnyConnection, Row as _};

use super::{Report, What, text};
use crate::log::checkpoint::Checkpoint;
use crate::log::tree::Tree;
use crate::store::figures::from_db;

/// A checkpoint that is signed by the log, and where it was found.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) checkpoint: Checkpoint,
    pub(super) place: String,
}

/// Reads the checkpoints of both places; those that are none are findings.
pub(super) async fn read(
    connection: &mut AnyConnection,
    exported: &[(PathBuf, String)],
    key: &VerifyingKey,
    report: &mut Report,
) -> Result<InOrder, sqlx::Error> {
    let mut all = in_second_place(exported, key, report);
    let rows = sqlx::query("SELECT size, note FROM audit_checkpoints ORDER BY size");
    for row in rows.fetch_all(connection).await? {
        let size: i64 = row.try_get("size")?;
        let note: String = row.try_get("note")?;
        let place = format!("the database, size {size}");
        report.checkpoints += 1;
        match Checkpoint::open(&note, &report.origin, key) {
            Ok(checkpoint) if checkpoint.size == from_db(size) => {
                all.push(Signed { checkpoint, place });
            }
            Ok(checkpoint) => {
                let error = format!("its note is of size {}", checkpoint.size);
                report.add(None, None, What::Checkpoint { place, error });
            }
            Err(error) => {
                let error = text(&error);
                report.add(None, None, What::Checkpoint { place, error });
            }
        }
    }
    Ok(InOrder::new(all))
}

/// Reads exported checkpoints; those that are none are findings.
pub(super) fn in_second_place(
    exported: &[(PathBuf, String)],
    key: &VerifyingKey,
    report: &mut Report,
) -> Vec<Signed> {
    let mut all = Vec::new();
    for (file, note) in exported {
        let place = format!("`{}`", file.display());
        report.exported += 1;
        match Checkpoint::open(note, &report.origin, key) {
            Ok(checkpoint) => all.push(Signed { checkpoint, place }),
            Err(error) => {
                let error = text(&error);
                report.add(None, None, What::Checkpoint { place, error });
            }
        }
    }
    all
}

/// All checkpoints in the order of their sizes, compared as the tree grows.
#[derive(Debug)]
pub(super) struct InOrder {
    rest: std::iter::Peekable<std::vec::IntoIter<Signed>>,
    /// Size of the last checkpoint that fitted.
    right: u64,
    /// Some checkpoint did not fit: later ones cannot either.
    broken: bool,
}

impl InOrder {
    pub(super) fn new(mut all: Vec<Signed>) -> Self {
        all.sort_by_key(|signed| signed.checkpoint.size);
        Self {
            rest: all.into_iter().peekable(),
            right: 0,
            broken: false,
        }
    }

    /// Compares those of the tree's size.
    pub(super) fn compare(&mut self, tree: &Tree, report: &mut Report) {
        while let Some(signed) = self
            .rest
            .next_if(|signed| signed.checkpoint.size <= tree.size())
        {
            if self.broken {
                continue;
            }
            if signed.checkpoint.root == tree.root() {
                self.right = signed.checkpoint.size;
                report.signed = self.right;
                continue;
            }
            self.broken = true;
            let what = What::Root {
                place: signed.place,
                size: signed.checkpoint.size,
                from: self.right,
            };
            report.add(None, None, what);
        }
    }

    /// Whatever is left is larger than the log.
    pub(super) fn finish(&mut self, tree: &Tree, report: &mut Report) {
        for signed in self.rest.by_ref() {
            let what = What::RolledBack {
                place: signed.place,
                size: signed.checkpoint.size,
                records: tree.size(),
            };
            report.add(None, None, what);
        }
    }
}
