//! Disk space that is kept for the ends of calls.
//!
//! A file beside an SQLite database takes up room that nobody else can fill. When the disk is
//! full it is given up: calls that were admitted can still end in it, and no new ones are
//! admitted until there is room for it again.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// What is kept if nothing else is said, bytes. A call's end takes some kilobytes, in the
/// write-ahead log (which begins anew at 16 MiB) and in the database.
pub(crate) const DEFAULT_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes that are written at a time where a file system cannot allocate.
const PIECE: usize = 64 * 1024;

/// The file, or the wish for it.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: bool,
}

impl Reserve {
    /// Keeps so many bytes beside a database, if there is room for them.
    ///
    /// # Errors
    /// The folder cannot be used. That there is no room is none.
    pub(crate) fn take(database: &str, bytes: u64) -> io::Result<Self> {
        let mut reserve = Self {
            path: path(database),
            bytes,
            held: false,
        };
        let there = reserve
            .path
            .metadata()
            .is_ok_and(|file| file.len() == bytes);
        if there {
            reserve.held = true;
        } else {
            reserve.release();
            reserve.fill()?;
        }
        Ok(reserve)
    }

    /// Whether it is there: only then may calls begin.
    pub(crate) const fn is_held(&self) -> bool {
        self.held
    }

    /// Gives the room up; `false`: it has been already.
    pub(crate) fn release(&mut self) -> bool {
        let held = std::mem::take(&mut self.held);
        // Nothing to be done about one that cannot be removed: the next write says so.
        let _ = std::fs::remove_file(&self.path);
        held
    }

    /// Takes it again if there is room: for itself and as much again, so that it is not given
    /// up at once.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        if self.held {
            return Ok(true);
        }
        if free(&self.path)? < self.bytes.saturating_mul(2) {
            return Ok(false);
        }
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&self.path)?;
        match allocate(&file, self.bytes) {
            Ok(()) => self.held = true,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                self.release();
            }
            Err(error) => {
                self.release();
                return Err(error);
            }
        }
        Ok(self.held)
    }
}

/// Gives the reserve of a database up where there is so little room that the database could
/// not even be opened.
///
/// # Errors
/// The folder cannot be used.
pub(crate) fn make_way(database: &str) -> io::Result<()> {
    /// What opening takes at most: the index of the write-ahead log, and its first transactions.
    const OPENING: u64 = 4 * 1024 * 1024;
    let path = path(database);
    if path.exists() && free(&path)? < OPENING {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

fn path(database: &str) -> PathBuf {
    format!("{database}.reserve").into()
}

/// Bytes that whoever is not root can still write beside a file.
fn free(path: &Path) -> io::Result<u64> {
    let folder = path.parent().filter(|path| !path.as_os_str().is_empty());
    let disk = rustix::fs::statvfs(folder.unwrap_or(Path::new(".")))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => {}
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write(file, bytes)?,
        Err(error) => return Err(error.into()),
    }
    file.sync_all()
}

fn write(mut file: &File, bytes: u64) -> io::Result<()> {
    let piece = [0u8; PIECE];
    let mut rest = bytes;
    while rest > 0 {
        let length = usize::try_from(rest).unwrap_or(PIECE).min(PIECE);
        io::Write::write_all(&mut file, piece.get(..length).unwrap_or(&piece))?;
        rest = rest.saturating_sub(length as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_takes_room_and_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("x.db").display().to_string();
        let mut reserve = Reserve::take(&database, 300_000).unwrap();
        let file = folder.path().join("x.db.reserve");
        assert!(reserve.is_held());
        assert_eq!(file.metadata().unwrap().len(), 300_000);
        assert!(reserve.release() && !reserve.release() && !file.exists());
        assert!(reserve.fill().unwrap() && reserve.is_held());
        // Another start finds it.
        assert!(Reserve::take(&database, 300_000).unwrap().is_held());
        // A size that no disk has.
        let none = Reserve::take(&database, u64::MAX).unwrap();
        assert!(!none.is_held() && !file.exists());
    }
}
