//! What of a report comes from records that were moved out of the database.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sekisho_domain::RecordKind;
use sqlx::AnyConnection;

use super::lists::{MOST_ENDS, MOST_EVENTS, OWN_LIST};
use crate::cold;
use crate::cold::file::Head;
use crate::ledger::Window;
use crate::log::tables::Stored;
use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError};

/// Counts, and the newest of each, as they are in files.
#[derive(Debug, Default)]
pub(super) struct Older {
    /// Refusals by code.
    pub(super) refusals: BTreeMap<String, u64>,
    /// Events by name.
    pub(super) events: BTreeMap<String, u64>,
    pub(super) newest_events: Vec<Stored>,
    /// Calls whose end nobody knows.
    pub(super) ends: u64,
    /// What they were charged.
    pub(super) ends_cost: u64,
    pub(super) newest_ends: Vec<Stored>,
}

/// Reads what a window needs. `connection`: whose state of the database the report shows.
pub(super) async fn gather(
    store: &Store,
    connection: &mut AnyConnection,
    window: Window,
) -> Result<Older, StoreError> {
    let moments = (to_db(window.start.0), to_db(window.end.0).saturating_sub(1));
    let files = cold::tables::between(connection, moments).await?;
    let mut older = Older::default();
    if files.is_empty() {
        return Ok(older);
    }
    let warm = cold::tables::first_warm(connection).await?;
    let before = warm.map_or(i64::MAX, to_db);
    for file in &files {
        let refused = Arc::new(Mutex::new(BTreeMap::<String, u64>::new()));
        let counted = Arc::clone(&refused);
        let wanted = move |head: &Head<'_>| {
            if head.seq >= before || !(moments.0..=moments.1).contains(&head.at) {
                return false;
            }
            if let Some(code) = &head.index.denial {
                let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
                *counted.entry(code.clone()).or_default() += 1;
            }
            is_event(head.index.event.as_deref()) || is_unknown_end(head)
        };
        let rows = cold::read::matching(store, file, wanted).await?;
        let refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
        for (code, count) in refused.iter() {
            *older.refusals.entry(code.clone()).or_default() += count;
        }
        older.take(rows);
    }
    Ok(older)
}

fn is_event(name: Option<&str>) -> bool {
    name.is_some_and(|name| name != OWN_LIST)
}

fn is_unknown_end(head: &Head<'_>) -> bool {
    head.kind == Some(RecordKind::Complete) && head.index.outcome.as_deref() == Some("unknown")
}

impl Older {
    fn take(&mut self, rows: Vec<Stored>) {
        for row in rows {
            if let Some(event) = row.index.event.clone() {
                *self.events.entry(event).or_default() += 1;
                self.newest_events.push(row);
            } else {
                self.ends += 1;
                self.ends_cost = self.ends_cost.saturating_add(row.cost.map_or(0, from_db));
                self.newest_ends.push(row);
            }
        }
        newest(&mut self.newest_events, MOST_EVENTS);
        newest(&mut self.newest_ends, MOST_ENDS);
    }
}

fn newest(rows: &mut Vec<Stored>, most: i64) {
    rows.sort_unstable_by_key(|row| Reverse((row.at, row.seq)));
    rows.truncate(usize::try_from(most).unwrap_or(0));
}

/// Counts of both, most first.
pub(super) fn together(
    warm: Vec<(String, u64)>,
    cold: &BTreeMap<String, u64>,
) -> Vec<(String, u64)> {
    let mut all = cold.clone();
    for (name, count) in warm {
        *all.entry(name).or_default() += count;
    }
    let mut all: Vec<(String, u64)> = all.into_iter().collect();
    all.sort_by_key(|(_, count)| Reverse(*count));
    all
}
