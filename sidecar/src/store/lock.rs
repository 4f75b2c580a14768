//! At most one writer per database.

use std::fs::{File, TryLockError};
use std::path::Path;

use sqlx::{AnyConnection, Row as _};

use super::Store;

/// Held for as long as the process writes; the operating system or the database server
/// takes it back when the process dies.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not read")] Option<File>);

impl Lock {
    /// Takes the lock on behalf of `connection`; `None`: somebody else has it.
    pub(crate) async fn take(
        store: &Store,
        connection: &mut AnyConnection,
    ) -> Result<Option<Self>, sqlx::Error> {
        let Some(database) = store.file() else {
            // One lock per schema; the first number is `seki` in ASCII.
            let sql = "SELECT CASE WHEN pg_try_advisory_lock(1936026473, \
                hashtext(current_schema())) THEN 1 ELSE 0 END AS taken";
            let row = sqlx::query(sql).fetch_one(connection).await?;
            let taken: i32 = row.try_get("taken")?;
            return Ok((taken == 1).then_some(Self(None)));
        };
        let mut options = File::options();
        let file = options
            .create(true)
            .write(true)
            .truncate(false)
            .open(format!("{database}.lock"))?;
        // The names of the database's files have to survive a power cut as well; where SQLite
        // syncs them, it does not look whether that worked.
        let folder = Path::new(database).parent();
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(Some(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}
