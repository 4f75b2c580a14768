//! Which of the sidecars that share a database is the active one: the one that writes.
//!
//! PostgreSQL itself chooses: whoever has the [`Lock`] is active, and the server gives it to
//! the next one as soon as the session of its holder ends. A machine that vanishes ends no
//! session, so the active sidecar also counts its heartbeats in a row, and the others end
//! the session of one whose count stands still. They look at the count, never at a clock:
//! machines may disagree about the time, and a database that stalls stalls the looks as well.
//!
//! [`Lock`]: super::Lock

use sqlx::{AnyConnection, Row as _};

use super::figures::{from_db, to_db};
use super::{Store, StoreError};

/// One row, of the sidecar that became active last.
pub(crate) const DDL: &str = "
CREATE TABLE active_sidecar (
    id {key},
    beats BIGINT NOT NULL,
    api TEXT NOT NULL
);
";

/// Where the REST API of the sidecar that became active last is; `None`: none ever did.
///
/// # Errors
/// [`StoreError`].
pub async fn api(store: &Store) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT api FROM active_sidecar WHERE id = 1")
        .fetch_optional(store.pool())
        .await?;
    Ok(row.map(|row| row.try_get("api")).transpose()?)
}

/// This sidecar, whose REST API is at `api`, is the active one from now on.
pub(crate) async fn announce(connection: &mut AnyConnection, api: &str) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO active_sidecar (id, beats, api) VALUES (1, 0, $1) \
        ON CONFLICT (id) DO UPDATE SET beats = active_sidecar.beats + 1, api = excluded.api";
    sqlx::query(sql).bind(api).execute(connection).await?;
    Ok(())
}

/// The active sidecar is alive.
pub(crate) async fn beat(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    // Nobody needs to find it after a power cut, so nothing waits for a disk.
    let sql = "BEGIN; SET LOCAL synchronous_commit = off; \
        UPDATE active_sidecar SET beats = beats + 1 WHERE id = 1; COMMIT";
    sqlx::raw_sql(sql).execute(connection).await?;
    Ok(())
}

/// How often the active sidecar has been heard.
pub(crate) async fn beats(connection: &mut AnyConnection) -> Result<u64, sqlx::Error> {
    let row = sqlx::query("SELECT beats FROM active_sidecar WHERE id = 1")
        .fetch_optional(connection)
        .await?;
    let beats = row.map(|row| row.try_get("beats")).transpose()?;
    Ok(from_db(beats.unwrap_or(0)))
}

/// Ends the session of a silent active sidecar, if it is silent still; whether there was one
/// to end. What that session had not committed is undone, and it can commit nothing more.
///
/// A session in which the server is at work is not silent, however slow its disk is. One that
/// waits for its client is.
pub(crate) async fn end_silent(
    connection: &mut AnyConnection,
    beats: u64,
) -> Result<bool, sqlx::Error> {
    let sql = "SELECT CAST(COUNT(*) FILTER (WHERE pg_terminate_backend(locks.pid)) AS BIGINT) \
        AS ended FROM pg_locks AS locks JOIN pg_stat_activity AS sessions USING (pid) \
        WHERE locks.locktype = 'advisory' AND locks.granted AND locks.classid = 1936026473 \
        AND CAST(locks.objid AS BIGINT) = CAST(hashtext(current_schema()) AS BIGINT) & 4294967295 \
        AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
        AND (sessions.state <> 'active' OR sessions.wait_event_type = 'Client') \
        AND EXISTS (SELECT 1 FROM active_sidecar WHERE id = 1 AND beats = $1)";
    let row = sqlx::query(sql).bind(to_db(beats)).fetch_one(connection);
    let ended: i64 = row.await?.try_get("ended")?;
    Ok(ended > 0)
}
