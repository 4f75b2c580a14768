//! The archive: its entries, its hashes and its checkpoint must say the same, and the
//! same as the database.

use std::path::Path;

use ed25519_dalek::VerifyingKey;
use sqlx::{AnyConnection, Row as _};

use super::checkpoints::{InOrder, Signed};
use super::{Report, What};
use crate::log::archive::{Archived, entries, hashes};
use crate::log::checkpoint::Checkpoint;
use crate::log::tiles::{Edge, WIDTH, last};
use crate::log::tree::{Hash, Tree, leaf_hash};
use crate::store::figures::{from_db, to_db};

/// The newest checkpoint of an archive, of whatever log; its signature binds the name to
/// the key. To be read before the database is: the log may grow meanwhile.
pub(super) fn open(folder: &Path, key: &VerifyingKey) -> Result<Checkpoint, What> {
    let note = std::fs::read_to_string(folder.join("checkpoint")).unwrap_or_default();
    let origin = note.lines().next().unwrap_or_default();
    match Archived::open(folder, origin, key) {
        Ok(Some(archived)) => Ok(archived.checkpoint),
        Ok(None) => Err(What::NoArchive(folder.display().to_string())),
        Err(error) => Err(What::Archive(error.to_string())),
    }
}

/// Walks through an archive that was opened; the tree over its entries. What the second
/// place has signed is compared as the tree grows, what the database beside it has,
/// record by record.
pub(super) async fn walk(
    folder: &Path,
    checkpoint: Checkpoint,
    mut signed: Vec<Signed>,
    mut beside: Option<&mut AnyConnection>,
    report: &mut Report,
) -> Result<Tree, sqlx::Error> {
    let place = format!("the archive `{}`", folder.display());
    if checkpoint.origin != report.origin {
        let error = format!("of another log, `{}`", checkpoint.origin);
        report.add(None, None, What::Checkpoint { place, error });
        return Ok(Tree::default());
    }
    let size = checkpoint.size;
    report.archived = Some(size);
    // What was signed later than this archive is not for it to show.
    signed.retain(|signed| signed.checkpoint.size < size);
    signed.push(Signed { checkpoint, place });
    let mut walk = Walk {
        folder,
        edge: Edge::default(),
        tree: Tree::default(),
        checkpoints: InOrder::new(signed),
        found_above: false,
    };
    walk.checkpoints.compare(&walk.tree, report);
    let (full, rest) = last(0, size);
    for index in 0..full {
        walk.bundle(index, WIDTH, beside.as_deref_mut(), report)
            .await?;
    }
    if rest > 0 {
        walk.bundle(full, rest, beside, report).await?;
    }
    let unfinished: Vec<(usize, u64, Vec<Hash>)> = walk
        .edge
        .partial()
        .map(|(level, index, hashes)| (level, index, hashes.to_vec()))
        .collect();
    for (level, index, hashes) in unfinished {
        walk.above(level, index, &hashes, report);
    }
    walk.checkpoints.finish(&walk.tree, report);
    Ok(walk.tree)
}

struct Walk<'f> {
    folder: &'f Path,
    edge: Edge,
    tree: Tree,
    checkpoints: InOrder,
    /// Some hash above the leaves was wrong: those above it are, too.
    found_above: bool,
}

impl Walk<'_> {
    /// One bundle of entries and the hashes of its leaves.
    async fn bundle(
        &mut self,
        index: u64,
        width: usize,
        beside: Option<&mut AnyConnection>,
        report: &mut Report,
    ) -> Result<(), sqlx::Error> {
        let first = index * WIDTH as u64;
        let unreadable = |report: &mut Report, error: &dyn std::fmt::Display| {
            report.add(Some(to_db(first)), None, What::Archive(error.to_string()));
        };
        let entries = entries(self.folder, index, width)
            .inspect_err(|error| unreadable(report, error))
            .unwrap_or_default();
        let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let stored = hashes(self.folder, 0, index, width)
            .inspect_err(|error| unreadable(report, error))
            .unwrap_or_default();
        let differs = |(leaf, stored): (&Hash, &Hash)| leaf != stored;
        for (n, _) in (first..)
            .zip(leaves.iter().zip(&stored))
            .filter(|(_, pair)| differs(*pair))
        {
            report.add(Some(to_db(n)), None, What::ArchivedEntry);
        }
        if let Some(database) = beside {
            compare(database, first, &entries, report).await?;
        }
        // The tiles say what was archived; where they cannot be read, the entries do.
        for leaf in if stored.is_empty() { leaves } else { stored } {
            self.tree.push(leaf);
            self.checkpoints.compare(&self.tree, report);
            for full in self.edge.push(leaf) {
                self.above(full.level, full.index, &full.hashes, report);
            }
        }
        Ok(())
    }

    /// A tile above the leaves, as it must be.
    fn above(&mut self, level: usize, index: u64, expected: &[Hash], report: &mut Report) {
        let Some(shift) = u32::try_from(level * 8).ok().filter(|shift| *shift > 0) else {
            return;
        };
        let stored = match hashes(self.folder, level, index, expected.len()) {
            Ok(stored) => stored,
            Err(error) => return report.add(None, None, What::Archive(error.to_string())),
        };
        if level > 1 && self.found_above {
            return;
        }
        let nth = index * WIDTH as u64..;
        for (nth, (stored, expected)) in nth.zip(stored.iter().zip(expected)) {
            if stored != expected {
                self.found_above = true;
                let from = nth << shift;
                let to = ((nth + 1) << shift) - 1;
                report.add(None, None, What::ArchivedRange { from, to });
            }
        }
    }
}

/// Compares archived entries with the records of the database.
async fn compare(
    database: &mut AnyConnection,
    first: u64,
    entries: &[Vec<u8>],
    report: &mut Report,
) -> Result<(), sqlx::Error> {
    let sql = "SELECT seq, body FROM audit_entries WHERE seq >= $1 AND seq < $2 ORDER BY seq";
    let rows = sqlx::query(sql)
        .bind(to_db(first))
        .bind(to_db(first + entries.len() as u64))
        .fetch_all(database)
        .await?;
    for row in rows {
        let (seq, body): (i64, Vec<u8>) = (row.try_get("seq")?, row.try_get("body")?);
        let nth = usize::try_from(from_db(seq).saturating_sub(first)).unwrap_or(usize::MAX);
        if entries.get(nth).is_some_and(|entry| *entry != body) {
            report.add(Some(seq), None, What::ArchivedOther);
        }
    }
    Ok(())
}
