//! Transactions that are durable when they return.
//!
//! PostgreSQL gets them through the connection that everything else uses. SQLite gets them
//! on a connection of its own that is called directly: the asynchronous one passes every
//! statement to another thread and back, which takes longer than the statement.

mod postgres;
mod sqlite;
mod wal;

use sqlx::AnyConnection;

use super::Store;
use super::script::Script;

/// Why a transaction failed; nothing of it counts, unless the commit itself did: then
/// nobody knows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("the database failed")]
    Sql(#[from] sqlx::Error),
    #[error("SQLite failed")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the write-ahead log could not be carried over: {0}")]
    CarriedOver(String),
    #[error("a row that the transaction depends on is not what it was")]
    Guard,
}

impl JournalError {
    /// Whether there was no room to write: nothing of the transaction counts then.
    pub(crate) fn is_full(&self) -> bool {
        /// `SQLITE_IOERR_SHMSIZE`: no room for the index of the write-ahead log.
        const NO_ROOM_FOR_INDEX: i32 = 4874;
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(error, _)) => {
                error.code == rusqlite::ErrorCode::DiskFull
                    || error.extended_code == NO_ROOM_FOR_INDEX
            }
            _ => false,
        }
    }
}

/// Writes transactions, one after the other.
pub(crate) enum Journal {
    Sqlite(Box<sqlite::Direct>),
    Postgres,
}

impl Journal {
    pub(crate) fn open(store: &Store) -> Result<Self, rusqlite::Error> {
        match store.file() {
            Some(file) => Ok(Self::Sqlite(Box::new(sqlite::Direct::open(file)?))),
            None => Ok(Self::Postgres),
        }
    }

    /// Whether the disk has failed since the last transaction.
    pub(crate) fn is_sound(&self) -> Result<(), JournalError> {
        match self {
            Self::Sqlite(direct) => direct.is_sound(),
            Self::Postgres => Ok(()),
        }
    }

    /// Whether there has been no room for the database since this was last asked.
    pub(crate) fn was_full(&self) -> bool {
        match self {
            Self::Sqlite(direct) => direct.was_full(),
            Self::Postgres => false,
        }
    }

    /// Runs the script in one transaction; it is durable when this returns.
    pub(crate) async fn commit(
        &mut self,
        connection: &mut AnyConnection,
        script: &Script,
    ) -> Result<(), JournalError> {
        match self {
            Self::Sqlite(direct) => direct.commit(script),
            Self::Postgres => postgres::commit(connection, script).await,
        }
    }
}
