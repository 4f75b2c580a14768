//! The log in a folder, in the layout of C2SP tlog-tiles: `checkpoint`, `tile/…` and
//! `tile/entries/…`. It can be served by any web server, copied to any store, and checked
//! without the database; records that the database lost are still there.
//!
//! Tiles never change once they are full. Unfinished ones are written only together with
//! the checkpoint that needs them.

mod archiving;
mod reading;
mod writing;

pub use archiving::Archiving;
pub use reading::{Archived, entries, hashes};
pub use writing::Archive;

use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint::CheckpointError;

/// The file with the newest checkpoint.
const CHECKPOINT: &str = "checkpoint";

/// Why the archive cannot be read or continued.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file cannot be read or written.
    #[error("`{}` cannot be used: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{}` is damaged", .0.display())]
    Damaged(PathBuf),
    /// Of another log, or not signed by this one.
    #[error("`{}` is not of this log: {source}", path.display())]
    OtherLog {
        /// Where the checkpoint is.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// The database.
    #[error("the database cannot be read")]
    Database(#[from] sqlx::Error),
    /// Records that were moved out of the database.
    #[error(transparent)]
    Older(#[from] crate::cold::ColdError),
    /// A record is gone from the database.
    #[error("record {0} is missing in the database")]
    Missing(u64),
    /// The records are not those that were signed.
    #[error("the first {size} records of the database are not those that the log has signed")]
    Differs {
        /// Size of the checkpoint.
        size: u64,
    },
    /// Too long for the format.
    #[error("record {0} is longer than 65,535 bytes")]
    TooLong(u64),
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = path.to_owned();
    move |source| ArchiveError::File { path, source }
}
