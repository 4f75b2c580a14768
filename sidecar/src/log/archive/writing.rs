//! Keeping an archive up with the log.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;

use super::{ArchiveError, Archived, CHECKPOINT, at, entries, hashes};
use crate::cold::read::Through;
use crate::log::checkpoint::Checkpoint;
use crate::log::tables;
use crate::log::tiles::{Edge, Full, Kind, WIDTH, last, path};
use crate::log::tree::leaf_hash;
use crate::store::Store;

/// Records that are read at a time.
const ROWS: i64 = 1024;

/// An archive that is being written.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    origin: String,
    key: VerifyingKey,
    edge: Edge,
    /// The entries of the unfinished bundle.
    bundle: Vec<u8>,
    /// Size of the newest checkpoint in the folder.
    size: u64,
    through: Through,
}

/// Files to be written, by their paths in the folder.
type Files = Vec<(String, Vec<u8>)>;

impl Archive {
    /// Begins an archive of the log `origin`, or goes on with it.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(folder: PathBuf, origin: &str, key: VerifyingKey) -> Result<Self, ArchiveError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&folder).map_err(at(&folder))?;
        let archived = Archived::open(&folder, origin, &key)?;
        let size = archived.map_or(0, |archived| archived.checkpoint.size);
        let edge = Edge::load(size, |level, index, width| {
            hashes(&folder, level, index, width)
        })?;
        let mut bundle = Vec::new();
        let (index, width) = last(0, size);
        if width > 0 {
            for (n, entry) in entries(&folder, index, width)?.iter().enumerate() {
                add(&mut bundle, entry, index * WIDTH as u64 + n as u64)?;
            }
        }
        Ok(Self {
            folder,
            origin: origin.to_owned(),
            key,
            edge,
            bundle,
            size,
            through: Through::default(),
        })
    }

    /// Records in it.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Takes in everything up to the newest checkpoint of the database. Nothing is
    /// published that was not signed. After an error it must be opened anew.
    ///
    /// # Errors
    /// [`ArchiveError`]; what was published before is unchanged.
    pub async fn advance(&mut self, store: &Store) -> Result<u64, ArchiveError> {
        let Some(note) = newest(store).await? else {
            return Ok(self.size);
        };
        let checkpoint = Checkpoint::open(&note, &self.origin, &self.key);
        let checkpoint = checkpoint.map_err(|source| ArchiveError::OtherLog {
            path: self.folder.clone(),
            source,
        })?;
        if checkpoint.size <= self.size {
            return Ok(self.size);
        }
        let mut done = Vec::new();
        while self.edge.size() < checkpoint.size {
            let (files, full) = self.take_in(store, checkpoint.size).await?;
            self.write(files).await?;
            done.extend(full);
        }
        if self.edge.root() != checkpoint.root {
            let size = checkpoint.size;
            return Err(ArchiveError::Differs { size });
        }
        let mut files: Files = self
            .edge
            .partial()
            .map(|(level, index, hashes)| {
                let kind = Kind::Hashes(level);
                (path(kind, index, hashes.len()), hashes.concat())
            })
            .collect();
        let (index, width) = last(0, checkpoint.size);
        if width > 0 {
            files.push((path(Kind::Entries, index, width), self.bundle.clone()));
        }
        self.write(files).await?;
        self.write(vec![(CHECKPOINT.to_owned(), note.into_bytes())])
            .await?;
        self.size = checkpoint.size;
        for full in done {
            self.forget_partial(&full);
        }
        Ok(self.size)
    }

    /// The next records up to `size`: the tiles that they fill.
    async fn take_in(
        &mut self,
        store: &Store,
        size: u64,
    ) -> Result<(Files, Vec<Full>), ArchiveError> {
        let range = (self.edge.size(), size);
        let rows = self.through.next(store, range, ROWS).await?;
        let (mut files, mut done) = (Vec::new(), Vec::new());
        if rows.is_empty() {
            return Err(ArchiveError::Missing(self.edge.size()));
        }
        for (seq, body) in rows {
            if seq != self.edge.size() {
                return Err(ArchiveError::Missing(self.edge.size()));
            }
            add(&mut self.bundle, &body, seq)?;
            for full in self.edge.push(leaf_hash(&body)) {
                if full.level == 0 {
                    let bundle = std::mem::take(&mut self.bundle);
                    files.push((path(Kind::Entries, full.index, WIDTH), bundle));
                }
                let kind = Kind::Hashes(full.level);
                files.push((path(kind, full.index, WIDTH), full.hashes.concat()));
                done.push(full);
            }
        }
        Ok((files, done))
    }

    async fn write(&self, files: Files) -> Result<(), ArchiveError> {
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            files
                .into_iter()
                .try_for_each(|(path, content)| write(&folder.join(path), &content))
        });
        written
            .await
            .unwrap_or_else(|error| Err(at(&self.folder)(std::io::Error::other(error))))
    }

    /// The full tile stands for its unfinished ones.
    fn forget_partial(&self, full: &Full) {
        let mut kinds = vec![Kind::Hashes(full.level)];
        if full.level == 0 {
            kinds.push(Kind::Entries);
        }
        for kind in kinds {
            let partial = format!("{}.p", path(kind, full.index, WIDTH));
            // Most were never there; one that cannot be removed does no harm.
            let _ = fs::remove_dir_all(self.folder.join(partial));
        }
    }
}

async fn newest(store: &Store) -> Result<Option<String>, sqlx::Error> {
    let mut connection = store.pool().acquire().await?;
    tables::newest_note(&mut connection).await
}

/// Adds an entry to a bundle.
fn add(bundle: &mut Vec<u8>, entry: &[u8], seq: u64) -> Result<(), ArchiveError> {
    let length = u16::try_from(entry.len()).map_err(|_| ArchiveError::TooLong(seq))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Whole or not at all, and on disk when this returns.
fn write(path: &Path, content: &[u8]) -> Result<(), ArchiveError> {
    let folder = path.parent().unwrap_or(path);
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(at(folder))?;
    let new = path.with_extension("new");
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(at(path))
}
