//! Records, page by page.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Row as _};
use tokio::time::Instant;

use super::statement::Statement;
use super::{Filter, MOST, MOST_EXAMINED, PATIENCE, STEP, statement, text};
use crate::cold::search as cold;
use crate::log::tables::Stored;
use crate::store::{Store, StoreError};

/// A record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its place in the log.
    pub seq: u64,
    /// Its bytes: JSON of schema `sekisho.audit.v1`.
    pub body: Vec<u8>,
    /// What the sidecar charged for it, in millionths of the currency; completions only.
    pub cost_micros: Option<u64>,
}

/// Records, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The records; also if these are few or none there may be a next page.
    pub records: Vec<Found>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<Cursor>,
}

/// A place between two records in the order of time, and of the log where that is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(crate) at: i64,
    pub(crate) seq: i64,
}

/// The text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not `next` of a page")]
pub struct NotACursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (at, seq) = text.split_once('-').ok_or(NotACursor)?;
        let number = |text: &str| text.parse().ok().filter(|number: &i64| *number >= 0);
        match (number(at), number(seq)) {
            (Some(at), Some(seq)) => Ok(Self { at, seq }),
            _ => Err(NotACursor),
        }
    }
}

/// Finds records, newest first, wherever they are. `cursor`: [`Page::next`] of the page before;
/// `limit`: 1 to [`MOST`], others are moved there.
///
/// # Errors
/// [`StoreError`].
pub async fn search(
    store: &Store,
    filter: &Filter,
    cursor: Option<Cursor>,
    limit: u32,
) -> Result<Page, StoreError> {
    let limit = limit.clamp(1, MOST);
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    // In the order of a record's way: one that is sorted or moved meanwhile is found twice, not
    // never.
    let lately = lately(store, filter, cursor, limit).await?;
    let sorted = step_by_step(store, filter, cursor, (wanted, STEP), PATIENCE).await?;
    let until = lately.next.max(sorted.next);
    let cold = cold::find(store, filter, (cursor, until), wanted).await?;
    let cold = Part {
        rows: cold.rows,
        next: cold.next,
    };
    Ok(merged([lately, sorted, cold], wanted))
}

/// Records of one place, newest first.
#[derive(Default)]
struct Part {
    rows: Vec<Stored>,
    next: Option<Cursor>,
}

fn merged(parts: [Part; 3], wanted: usize) -> Page {
    // Up to here all was looked at, in each.
    let end = parts.iter().filter_map(|part| part.next).max();
    let place = |row: &Stored| Cursor {
        at: row.at,
        seq: row.seq,
    };
    let mut rows: Vec<Stored> = parts.into_iter().flat_map(|part| part.rows).collect();
    rows.retain(|row| end.is_none_or(|end| place(row) >= end));
    rows.sort_by_key(|row| std::cmp::Reverse(place(row)));
    rows.dedup_by_key(|row| row.seq);
    let is_cut = rows.len() > wanted;
    rows.truncate(wanted);
    let next = if is_cut { rows.last().map(place) } else { end };
    let records = rows.into_iter().map(|row| Found {
        seq: u64::try_from(row.seq).unwrap_or(0),
        body: row.body.to_vec(),
        cost_micros: row.cost.and_then(|cost| u64::try_from(cost).ok()),
    });
    Page {
        records: records.collect(),
        next,
    }
}

/// Looks at records until there are enough, or it has taken long enough: there is one step at least.
async fn step_by_step(
    store: &Store,
    filter: &Filter,
    cursor: Option<Cursor>,
    (wanted, step): (usize, u32),
    patience: Duration,
) -> Result<Part, StoreError> {
    let late = Instant::now() + patience;
    let (mut page, mut examined) = (Part::default(), 0);
    page.next = cursor;
    loop {
        let missing = wanted.saturating_sub(page.rows.len());
        let missing = u32::try_from(missing).unwrap_or(MOST);
        let part = among(store, filter, page.next, (missing, step)).await?;
        page.rows.extend(part.rows);
        page.next = part.next;
        examined += step;
        if page.next.is_none()
            || page.rows.len() >= wanted
            || examined >= MOST_EXAMINED
            || Instant::now() >= late
        {
            return Ok(page);
        }
    }
}

/// Looks at records that are not sorted yet.
async fn lately(
    store: &Store,
    filter: &Filter,
    cursor: Option<Cursor>,
    limit: u32,
) -> Result<Part, StoreError> {
    if !statement::is_sorted(filter) {
        return Ok(Part::default());
    }
    let row = sqlx::query("SELECT sorted, size FROM audit_tree WHERE id = 1 AND sorted < size");
    let Some(row) = row.fetch_optional(store.pool()).await? else {
        return Ok(Part::default());
    };
    let places = (row.try_get("sorted")?, row.try_get("size")?);
    let find = statement::lately(filter, cursor, places, limit + 1, store.dialect());
    Ok(read(store, filter, find, limit).await?.0)
}

async fn among(
    store: &Store,
    filter: &Filter,
    cursor: Option<Cursor>,
    (limit, examined): (u32, u32),
) -> Result<Part, StoreError> {
    let find = statement::find(filter, cursor, (limit + 1, examined), store.dialect());
    let is_bounded = find.is_bounded;
    let (mut page, is_cut) = read(store, filter, find, limit).await?;
    if !is_cut && is_bounded {
        page.next = end(store, filter, cursor, examined).await?;
    }
    Ok(page)
}

/// The first `limit` rows that a statement finds, and whether it finds more: those begin at the
/// part's `next`.
async fn read(
    store: &Store,
    filter: &Filter,
    find: Statement,
    limit: u32,
) -> Result<(Part, bool), StoreError> {
    let rows = sqlx::query_with(AssertSqlSafe(find.sql), find.arguments);
    let rows = rows.fetch_all(store.pool()).await?;
    let mut page = Part::default();
    let mut last = None;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    for row in rows.iter().take(wanted) {
        let stored = Stored::read(row)?;
        let (at, seq) = (stored.at, stored.seq);
        last = Some(Cursor { at, seq });
        if filter
            .text
            .as_ref()
            .is_none_or(|text| text::says(&stored.body, text))
        {
            page.rows.push(stored);
        }
    }
    let is_cut = rows.len() > wanted;
    page.next = last.filter(|_| is_cut);
    Ok((page, is_cut))
}

/// The last record that was looked at, unless those were all.
async fn end(
    store: &Store,
    filter: &Filter,
    cursor: Option<Cursor>,
    examined: u32,
) -> Result<Option<Cursor>, StoreError> {
    let end = statement::end(filter, cursor, examined);
    let row = sqlx::query_with(AssertSqlSafe(end.sql), end.arguments)
        .fetch_optional(store.pool())
        .await?;
    let cursor = row.map(|row| {
        Ok::<_, sqlx::Error>(Cursor {
            at: row.try_get("at")?,
            seq: row.try_get("seq")?,
        })
    });
    Ok(cursor.transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_rare_is_found_although_a_page_looks_at_few_records() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("d.db").display());
        let store = Store::open(&url).await.unwrap();
        for seq in 0..50i64 {
            let sql = "INSERT INTO audit_entries (seq, record_id, kind, at, leaf_hash, body, api) \
                VALUES ($1, $2, 1, $3, X'', X'7b7d', $4)";
            sqlx::query(sql)
                .bind(seq)
                .bind(seq.to_be_bytes().to_vec())
                .bind(seq / 7)
                .bind(if seq % 20 == 3 { "rare" } else { "usual" })
                .execute(store.pool())
                .await
                .unwrap();
        }
        let rare = Filter {
            api: Some("rare".into()),
            ..Filter::default()
        };
        for examined in [1, 3, 10, 49, 50, 51] {
            let (mut found, mut cursor, mut pages) = (Vec::new(), None, 0);
            loop {
                // One step a page.
                let page = step_by_step(&store, &rare, cursor, (2, examined), Duration::ZERO);
                let page = page.await.unwrap();
                found.extend(page.rows.iter().map(|row| row.seq));
                pages += 1;
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(found, [43, 23, 3], "{examined}");
            assert!(pages <= 53 / examined + 3, "{pages} pages of {examined}");
            // As many steps as it takes.
            let all = step_by_step(
                &store,
                &rare,
                None,
                (4, examined),
                Duration::from_secs(3600),
            );
            let all = all.await.unwrap();
            let found: Vec<_> = all.rows.iter().map(|row| row.seq).collect();
            assert_eq!((found, all.next), (vec![43, 23, 3], None), "{examined}");
        }
    }

    #[test]
    fn a_cursor_is_what_a_page_has_said() {
        let cursor = Cursor {
            at: 1_795_424_400_000,
            seq: 17,
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in [
            "",
            "17",
            "-1-2",
            "1--2",
            "a-b",
            "1-2-3",
            "99999999999999999999-1",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(NotACursor), "{text}");
        }
    }
}
