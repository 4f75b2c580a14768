//! What an archive holds.

use std::io;
use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;

use super::{ArchiveError, CHECKPOINT, at};
use crate::log::checkpoint::Checkpoint;
use crate::log::tiles::{Kind, WIDTH, path};
use crate::log::tree::Hash;

/// What an archive says that it is.
#[derive(Clone, Debug)]
pub struct Archived {
    /// Its newest checkpoint.
    pub checkpoint: Checkpoint,
    /// That as it was signed.
    pub note: String,
}

impl Archived {
    /// Reads the checkpoint of an archive; `None`: nothing has been archived there.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(
        folder: &Path,
        origin: &str,
        key: &VerifyingKey,
    ) -> Result<Option<Self>, ArchiveError> {
        let path = folder.join(CHECKPOINT);
        let note = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(at(&path))?,
        };
        let opened = Checkpoint::open(&note, origin, key);
        let checkpoint = opened.map_err(|source| ArchiveError::OtherLog { path, source })?;
        Ok(Some(Self { checkpoint, note }))
    }
}

/// The first `width` hashes of a tile.
///
/// # Errors
/// [`ArchiveError`].
pub fn hashes(
    folder: &Path,
    level: usize,
    index: u64,
    width: usize,
) -> Result<Vec<Hash>, ArchiveError> {
    let (path, content) = tile(folder, Kind::Hashes(level), index, width)?;
    let (hashes, rest) = content.as_chunks::<32>();
    match hashes.get(..width) {
        Some(hashes) if rest.is_empty() => Ok(hashes.to_vec()),
        _ => Err(ArchiveError::Damaged(path)),
    }
}

/// The first `width` entries of a bundle.
///
/// # Errors
/// [`ArchiveError`].
pub fn entries(folder: &Path, index: u64, width: usize) -> Result<Vec<Vec<u8>>, ArchiveError> {
    let (path, content) = tile(folder, Kind::Entries, index, width)?;
    let mut rest = content.as_slice();
    let mut entries = Vec::with_capacity(width);
    while entries.len() < width {
        let entry = rest.split_first_chunk().and_then(|(length, after)| {
            after.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        });
        let Some((entry, after)) = entry else {
            return Err(ArchiveError::Damaged(path));
        };
        entries.push(entry.to_vec());
        rest = after;
    }
    Ok(entries)
}

/// A tile, or the full one that it has become.
fn tile(
    folder: &Path,
    kind: Kind,
    index: u64,
    width: usize,
) -> Result<(PathBuf, Vec<u8>), ArchiveError> {
    let exact = folder.join(path(kind, index, width));
    match std::fs::read(&exact) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && width < WIDTH => {
            let full = folder.join(path(kind, index, WIDTH));
            let content = std::fs::read(&full).map_err(|_| at(&exact)(error))?;
            Ok((full, content))
        }
        read => Ok((exact.clone(), read.map_err(at(&exact))?)),
    }
}
