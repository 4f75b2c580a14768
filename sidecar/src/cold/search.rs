//! Searches in records that were moved.
//!
//! A page looks into few files, those with the latest records first, and is in the same order as
//! one from the database.

use super::ColdError;
use super::file::{ColdFile, Head};
use super::moving::blocking;
use super::tables::{self, Listed};
use crate::log::search::{Cursor, End, Filter, says};
use crate::log::tables::Stored;
use crate::store::Store;
use crate::store::figures::{from_db, to_db};

/// Most files that one page looks into.
pub(crate) const MOST_FILES: usize = 8;

/// Records that were found, in the order of a page.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) rows: Vec<Stored>,
    /// There may be more from here on.
    pub(crate) next: Option<Cursor>,
}

/// Finds records that were moved, newest first: those that come after `cursor`, and not after
/// `until`, which was looked at in the database; at most `limit` and one more.
pub(crate) async fn find(
    store: &Store,
    filter: &Filter,
    (cursor, until): (Option<Cursor>, Option<Cursor>),
    limit: usize,
) -> Result<Found, ColdError> {
    let mut connection = store.pool().acquire().await?;
    if let Some(id) = filter.record_id {
        let places = tables::of_call(&mut connection, &id.0).await?;
        drop(connection);
        return of_call(store, filter, (cursor, until), &places, limit).await;
    }
    if filter.end == Some(End::Open) {
        // No record of an open call is moved.
        return Ok(Found::default());
    }
    let until_at = until.map_or(0, |until| until.at);
    let from = filter.from.map_or(0, |at| to_db(at.0)).max(until_at);
    let before = filter.to.map_or(i64::MAX, |at| to_db(at.0) - 1);
    let to = cursor.map_or(before, |cursor| cursor.at.min(before));
    let files = tables::between(&mut connection, (from, to)).await?;
    if files.is_empty() {
        return Ok(Found::default());
    }
    let warm = tables::first_warm(&mut connection).await?;
    drop(connection);
    let wanted = Wanted {
        filter: filter.clone(),
        cursor,
        until,
        // What is in the database still was found there.
        before: warm.map_or(i64::MAX, to_db),
        limit,
    };
    let mut rows: Vec<Stored> = Vec::new();
    let mut files = files.into_iter().peekable();
    let mut looked = 0;
    while let Some(file) = files.next() {
        rows.extend(look_into(store, &file, &wanted).await?);
        rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.at, row.seq)));
        looked += 1;
        let Some(next) = files.peek() else {
            break;
        };
        // Whatever is left is not later than this.
        let rest = Cursor {
            at: next.to_at,
            seq: i64::MAX,
        };
        let before = rows.partition_point(|row| row.at > rest.at);
        if before > limit {
            rows.truncate(before);
            break;
        }
        // A page must come further than the one before.
        if looked >= MOST_FILES && cursor.is_none_or(|cursor| rest.at < cursor.at) {
            rows.truncate(before);
            return Ok(Found {
                rows,
                next: Some(rest),
            });
        }
    }
    Ok(Found { rows, next: None })
}

async fn of_call(
    store: &Store,
    filter: &Filter,
    (cursor, until): (Option<Cursor>, Option<Cursor>),
    places: &[u64],
    limit: usize,
) -> Result<Found, ColdError> {
    let mut connection = store.pool().acquire().await?;
    let mut readable = Vec::new();
    for seq in places {
        let file = tables::file_of(&mut connection, *seq).await?;
        readable.extend(file.filter(|file| file.state.is_readable()).map(|_| *seq));
    }
    drop(connection);
    if readable.is_empty() {
        return Ok(Found::default());
    }
    let wanted = Wanted {
        filter: filter.clone(),
        cursor,
        until,
        before: i64::MAX,
        limit,
    };
    let mut rows = super::read::at(store, &readable).await?;
    rows.retain(|row| wanted.has_row(row));
    rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.at, row.seq)));
    Ok(Found { rows, next: None })
}

async fn look_into(
    store: &Store,
    file: &Listed,
    wanted: &Wanted,
) -> Result<Vec<Stored>, ColdError> {
    let objects = store.cold().open(store).await?;
    let content = super::read::load(&objects, file).await?;
    let wanted = wanted.clone();
    blocking(&file.name(), move || {
        let mut rows = ColdFile::open(content)?.find(|head| wanted.has(head))?;
        if let Some(text) = &wanted.filter.text {
            rows.retain(|row| says(&row.body, text));
        }
        rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.at, row.seq)));
        rows.truncate(wanted.limit + 1);
        Ok(rows)
    })
    .await
}

#[derive(Clone)]
struct Wanted {
    filter: Filter,
    cursor: Option<Cursor>,
    until: Option<Cursor>,
    before: i64,
    limit: usize,
}

impl Wanted {
    fn has_row(&self, row: &Stored) -> bool {
        let head = Head {
            seq: row.seq,
            at: row.at,
            record_id: &row.record_id,
            kind: row.record_kind(),
            index: &row.index,
        };
        let text = self.filter.text.as_ref();
        self.has(&head) && text.is_none_or(|text| says(&row.body, text))
    }

    /// Whether a record is wanted, as far as its text need not be read.
    fn has(&self, head: &Head<'_>) -> bool {
        let (filter, index) = (&self.filter, head.index);
        let place = (head.at, head.seq);
        let is =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let outcome = match filter.end {
            Some(End::As(outcome)) => index.outcome.as_deref() == Some(outcome),
            Some(End::Open) => false,
            None => true,
        };
        let at = from_db(head.at);
        head.seq < self.before
            && filter.from.is_none_or(|from| at >= from.0)
            && filter.to.is_none_or(|to| at < to.0)
            && self
                .cursor
                .is_none_or(|cursor| place < (cursor.at, cursor.seq))
            && self
                .until
                .is_none_or(|until| place >= (until.at, until.seq))
            && filter.record_id.is_none_or(|id| head.record_id == id.0)
            && filter.kind.is_none_or(|kind| head.kind == Some(kind))
            && is(&filter.user, &index.user)
            && is(&filter.object_id, &index.object_id)
            && is(&filter.department, &index.department)
            && is(&filter.api, &index.api)
            && is(&filter.model, &index.model)
            && is(&filter.denial, &index.denial)
            && is(&filter.event, &index.event)
            && outcome
    }
}
