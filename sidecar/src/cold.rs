//! Older records: out of the database, into files of Parquet at a place for objects, a folder for
//! each day.
//!
//! Of a record that was moved the database keeps its place, id and leaf hash, so that the tree
//! can be computed and proved as before. A file is written, read back and compared with the
//! signed tree before the first of its records is taken out of the database; so at every moment
//! each record is in one of the two, or in both.

pub mod config;
mod expiry;
pub(crate) mod file;
mod keep;
mod moving;
mod place;
pub(crate) mod read;
pub(crate) mod search;
pub(crate) mod tables;

pub use config::Retention;
pub(crate) use expiry::told;
pub use expiry::{Expired, expire};
pub use keep::Keeper;
pub use moving::{Moved, Mover};
pub use place::{Place, PlaceError};

use crate::log::checkpoint::CheckpointError;
use crate::objects::ObjectsError;
use crate::store::StoreError;

/// Why older records cannot be moved or read.
#[derive(Debug, thiserror::Error)]
pub enum ColdError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Where they are.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The place for objects.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// A file is gone.
    #[error("`{file}` with older records is missing in `{place}`")]
    Missing {
        /// Its name.
        file: String,
        /// Where it should be.
        place: String,
    },
    /// A file is not what was written.
    #[error("`{0}` with older records was changed: `sekisho audit verify` says more")]
    Changed(String),
    /// A file cannot be written or read.
    #[error("`{file}` with older records: {why}")]
    File {
        /// Its name.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// What the database has is not what was signed.
    #[error(
        "the records of {day} are not those that were signed, at or after record {from}; nothing \
         is moved: `sekisho audit verify` says more"
    )]
    Unsigned {
        /// Which day.
        day: String,
        /// Everything before was right.
        from: u64,
    },
    /// The checkpoint that covers the records.
    #[error("a checkpoint does not count: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The stored tree.
    #[error("the stored tree of {0} is damaged: run `sekisho audit verify`")]
    Tree(String),
    /// They were deleted when the policy wanted it.
    #[error("the records before {0} were deleted when their time was over (`retention.days`)")]
    Expired(u64),
    /// The operating system has no randomness.
    #[error("no random bytes for the id of an event")]
    Random,
}

impl From<sqlx::Error> for ColdError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
