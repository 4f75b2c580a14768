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
    #[error("a row that the transaction depends on is not what it was")]
    Guard,
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
