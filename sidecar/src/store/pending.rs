//! Events on their way into the log.
//!
//! Only the writer can append to the log, and only in transactions of its own. Whoever changes
//! something leaves its event here in the transaction of the change; the writer takes it
//! into the log and out of here in one transaction of its own. So there is no moment, also after
//! a crash, at which a change is there and its event is neither here nor in the log.

use sekisho_domain::{RecordId, RecordKind};
use sqlx::{AnyConnection, Row as _};

use super::StoreError;
use super::figures::to_db;
use super::script::{Rows, Script};
use crate::events::Telling;
use crate::log::{Malformed, Recorded};

/// `body`: the record as it is going to be in the log.
pub(crate) const DDL: &str = "
CREATE TABLE pending_events (
    record_id {blob} NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    body {blob} NOT NULL
);
-- A large company leaves as many at once as it has people.
CREATE INDEX pending_events_by_time ON pending_events (at, record_id);
";

/// Events that are taken into the log at a time.
pub(crate) const MOST: usize = 256;

const TAKEN: Rows = Rows {
    head: "DELETE FROM pending_events WHERE record_id IN (VALUES",
    columns: 1,
    tail: ")",
};

/// Leaves an event for the writer, within the transaction of the change.
///
/// # Errors
/// [`StoreError`].
pub async fn leave(connection: &mut AnyConnection, event: Telling) -> Result<(), StoreError> {
    let recorded = event.record();
    let recorded = recorded.map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query("INSERT INTO pending_events (record_id, at, body) VALUES ($1, $2, $3)")
        .bind(recorded.id.0.to_vec())
        .bind(to_db(recorded.at.0))
        .bind(recorded.body.to_vec())
        .execute(connection)
        .await?;
    Ok(())
}

/// The oldest events that wait, at most [`MOST`].
pub(crate) async fn oldest(
    connection: &mut AnyConnection,
) -> Result<Vec<Result<Recorded, Malformed>>, sqlx::Error> {
    let sql = "SELECT record_id, body FROM pending_events ORDER BY at, record_id LIMIT $1";
    let rows = sqlx::query(sql)
        .bind(i64::try_from(MOST).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let read = |row: &sqlx::any::AnyRow| {
        let (id, body): (Vec<u8>, Vec<u8>) = (row.try_get("record_id")?, row.try_get("body")?);
        Ok(match RecordId::from_slice(&id) {
            Some(id) => Recorded::read(RecordKind::Event, id, body.into()),
            None => Err(Malformed::Id),
        })
    };
    rows.iter().map(read).collect()
}

/// Takes events away that go into the log by the same script.
pub(crate) fn taken(script: &mut Script, ids: Vec<RecordId>) {
    script.write(TAKEN, ids, |id| [id.0.as_slice().into()]);
}

/// How many events wait: of changes whose sidecar has not taken them into the log yet.
pub(crate) async fn count(connection: &mut AnyConnection) -> Result<u64, sqlx::Error> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) AS waiting FROM pending_events";
    let row = sqlx::query(sql).fetch_one(connection).await?;
    Ok(super::figures::from_db(row.try_get("waiting")?))
}
