//! How far every recipient has been brought what is for it.

use sqlx::{AnyConnection, Row as _};

use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError};

/// `next`: the place of the first entry that has not been taken.
pub(crate) const DDL: &str = "
CREATE TABLE forward_cursors (
    name TEXT NOT NULL PRIMARY KEY,
    next BIGINT NOT NULL
);
";

/// The cursor of this name; one that is not there yet begins at `first`.
pub(crate) async fn begin(store: &Store, name: &str, first: u64) -> Result<u64, StoreError> {
    let sql = "INSERT INTO forward_cursors (name, next) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    sqlx::query(sql)
        .bind(name.to_owned())
        .bind(to_db(first))
        .execute(store.pool())
        .await?;
    Ok(read(store, name).await?.unwrap_or(first))
}

/// The cursor of this name, if there is one.
///
/// # Errors
/// [`StoreError`].
pub async fn read(store: &Store, name: &str) -> Result<Option<u64>, StoreError> {
    let row = sqlx::query("SELECT next FROM forward_cursors WHERE name = $1")
        .bind(name.to_owned())
        .fetch_optional(store.pool())
        .await?;
    Ok(row.map(|row| row.try_get("next")).transpose()?.map(from_db))
}

/// Moves a cursor on; never back, though a sidecar that was active before may still be saying
/// how far it came.
pub(crate) async fn advance(store: &Store, name: &str, next: u64) -> Result<(), StoreError> {
    let sql = "UPDATE forward_cursors SET next = $2 WHERE name = $1 AND next < $2";
    sqlx::query(sql)
        .bind(name.to_owned())
        .bind(to_db(next))
        .execute(store.pool())
        .await?;
    Ok(())
}

/// Moves a cursor from `from` to `next`, within a transaction; `false`: it is not at `from`, for
/// somebody else has moved it.
pub(crate) async fn move_on(
    connection: &mut AnyConnection,
    name: &str,
    from: u64,
    next: u64,
) -> Result<bool, StoreError> {
    let sql = "UPDATE forward_cursors SET next = $3 WHERE name = $1 AND next = $2";
    let moved = sqlx::query(sql)
        .bind(name.to_owned())
        .bind(to_db(from))
        .bind(to_db(next))
        .execute(connection)
        .await?;
    Ok(moved.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cursor_begins_once_and_never_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("d.db").display());
        let store = Store::open(&url).await.unwrap();
        assert_eq!(read(&store, "siem/a").await.unwrap(), None);
        assert_eq!(begin(&store, "siem/a", 5).await.unwrap(), 5);
        advance(&store, "siem/a", 9).await.unwrap();
        advance(&store, "siem/a", 7).await.unwrap();
        assert_eq!(begin(&store, "siem/a", 0).await.unwrap(), 9);
        assert_eq!(begin(&store, "siem/b", 0).await.unwrap(), 0);
    }
}
