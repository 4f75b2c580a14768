//! Older records whose time is over: their files are deleted, and what was kept of their calls'
//! bodies. Their leaf hashes stay, so the tree is what it was; an event on record says up to which
//! record all are gone.

use jiff::ToSpan as _;
use sekisho_domain::Event;
use sekisho_domain::event::OWN_SOURCE;
use serde_json::json;
use sqlx::Connection as _;

use super::tables::{self, Listed, State};
use super::{ColdError, Mover};
use crate::events::Author;
use crate::store::figures::to_db;
use crate::store::{Dialect, Store, StoreError, pending};

/// Places whose contents one transaction deletes.
const PLACES: u64 = 1_000;

/// The name of the event.
const EVENT: &str = "audit.expire";

/// What a round has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Files.
    pub files: u64,
    /// Records in them.
    pub records: u64,
}

/// Deletes what is more than `days` days old. Only what was moved can be.
///
/// # Errors
/// [`ColdError`]; what is on record as deleted and is there still, the next round deletes.
pub async fn expire(mover: &Mover, days: u32, author: &mut Author) -> Result<Expired, ColdError> {
    let store = mover.store();
    let today = mover.calendar().day(author.at());
    let before = today.saturating_sub(i64::from(days).days()).to_string();
    let mut connection = store.pool().acquire().await?;
    let files = tables::files(&mut connection).await?;
    drop(connection);
    // The log loses its beginning, and nothing from its middle.
    let due: Vec<&Listed> = files
        .iter()
        .skip_while(|file| !file.state.is_readable())
        .take_while(|file| file.state == State::Moved && file.day < before)
        .collect();
    let expired = Expired {
        files: due.len() as u64,
        records: due.iter().map(|file| file.next - file.first).sum(),
    };
    if let (Some(first), Some(last)) = (due.first(), due.last()) {
        let told = author.tell(EVENT, &last.day).after(Some(json!({
            "before_record": last.next, "records": expired.records,
            "from": first.day, "to": last.day,
        })));
        let mut transaction = store.begin_writing().await?;
        let mut is_told = true;
        for file in &due {
            is_told &= !tables::set_state(&mut transaction, file.first, State::Expired).await?;
        }
        // Unless a sidecar that was active before has just told all of it.
        if !is_told {
            pending::leave(&mut transaction, told).await?;
        }
        transaction.commit().await.map_err(StoreError::from)?;
    }
    let is_left = |file: &&Listed| file.state == State::Expired;
    for file in files.iter().filter(is_left).chain(due) {
        delete_contents(store, file).await?;
        mover.objects().delete(&file.name()).await?;
        let mut connection = store.pool().acquire().await?;
        tables::set_state(&mut connection, file.first, State::Deleted).await?;
    }
    Ok(expired)
}

/// What was kept of the bodies of calls goes with the record that says so.
async fn delete_contents(store: &Store, file: &Listed) -> Result<(), ColdError> {
    let mut connection = store.pool().acquire().await?;
    if store.dialect() == Dialect::Sqlite {
        sqlx::raw_sql("PRAGMA secure_delete = ON")
            .execute(&mut *connection)
            .await?;
    }
    let sql = "DELETE FROM audit_contents WHERE record_id IN \
        (SELECT record_id FROM audit_cold WHERE seq >= $1 AND seq < $2 AND kind = 5)";
    let mut from = file.first;
    while from < file.next {
        let to = file.next.min(from.saturating_add(PLACES));
        let mut transaction = connection
            .begin_with(store.dialect().begin_writing())
            .await?;
        sqlx::query(sql)
            .bind(to_db(from))
            .bind(to_db(to))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        from = to;
    }
    Ok(())
}

/// Up to which record an event says that all are gone.
pub(crate) fn told(event: &Event<'_>) -> Option<u64> {
    let is_ours = event.source == OWN_SOURCE && event.name == EVENT;
    let after = event.after.as_ref().filter(|_| is_ours)?;
    after.get("before_record")?.as_u64()
}
