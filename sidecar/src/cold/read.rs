//! Reading older records.

use prost::bytes::Bytes;
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;

use super::ColdError;
use super::file::{ColdFile, Head};
use super::moving::blocking;
use super::tables::{self, Listed};
use crate::log::tables::Stored;
use crate::objects::Objects;
use crate::store::Store;
use crate::store::figures::{from_db, to_db};

/// The bytes of a file, which are those that were written.
pub(super) async fn load(objects: &Objects, file: &Listed) -> Result<Bytes, ColdError> {
    let name = file.name();
    let Some(content) = objects.read(&name).await? else {
        let place = objects.shown().to_owned();
        return Err(ColdError::Missing { file: name, place });
    };
    if file.sha256 != Sha256::digest(&content).as_slice() {
        return Err(ColdError::Changed(name));
    }
    Ok(content)
}

/// All records of a file.
pub(crate) async fn rows(store: &Store, file: &Listed) -> Result<Vec<Stored>, ColdError> {
    let objects = store.cold().open(store).await?;
    let content = load(&objects, file).await?;
    blocking(&file.name(), move || ColdFile::open(content)?.rows()).await
}

/// The records of a file that are wanted.
pub(crate) async fn matching(
    store: &Store,
    file: &Listed,
    wanted: impl Fn(&Head<'_>) -> bool + Send + 'static,
) -> Result<Vec<Stored>, ColdError> {
    let objects = store.cold().open(store).await?;
    let content = load(&objects, file).await?;
    blocking(&file.name(), move || ColdFile::open(content)?.find(wanted)).await
}

/// The bytes of a file, whatever they are, for whoever looks for what was changed; and whether
/// they are those that were written.
pub(crate) async fn whatever(
    store: &Store,
    file: &Listed,
) -> Result<(Vec<Stored>, bool), ColdError> {
    let objects = store.cold().open(store).await?;
    let name = file.name();
    let Some(content) = objects.read(&name).await? else {
        let place = objects.shown().to_owned();
        return Err(ColdError::Missing { file: name, place });
    };
    let is_whole = file.sha256 == Sha256::digest(&content).as_slice();
    let rows = blocking(&name, move || ColdFile::open(content)?.rows()).await?;
    Ok((rows, is_whole))
}

/// The records at these places, which must all have been moved.
pub(crate) async fn at(store: &Store, places: &[u64]) -> Result<Vec<Stored>, ColdError> {
    let mut found: Vec<Stored> = Vec::new();
    let mut left: Vec<u64> = places.to_vec();
    left.sort_unstable();
    while let Some(seq) = left.first().copied() {
        let mut connection = store.pool().acquire().await?;
        let file = tables::file_of(&mut connection, seq).await?;
        drop(connection);
        let file = file.ok_or(ColdError::Expired(seq.saturating_add(1)))?;
        if !file.state.is_readable() {
            return Err(ColdError::Expired(file.next));
        }
        let (inside, rest): (Vec<u64>, Vec<u64>) = left.iter().partition(|seq| **seq < file.next);
        left = rest;
        let objects = store.cold().open(store).await?;
        let content = load(&objects, &file).await?;
        let wanted = inside.clone();
        let name = file.name();
        let rows = blocking(&name, move || {
            ColdFile::open(content)?.find(|head| wanted.contains(&from_db(head.seq)))
        });
        let rows = rows.await?;
        if rows.len() != inside.len() {
            return Err(ColdError::Changed(name));
        }
        found.extend(rows);
    }
    Ok(found)
}

/// Reads the log from its beginning on, wherever its records are.
#[derive(Debug, Default)]
pub(crate) struct Through {
    file: Option<(Listed, Vec<Stored>)>,
}

impl Through {
    /// The next records from `from` to before `to`, at most so many: their places and bytes.
    pub(crate) async fn next(
        &mut self,
        store: &Store,
        (from, to): (u64, u64),
        most: i64,
    ) -> Result<Vec<(u64, Vec<u8>)>, ColdError> {
        let sql = "SELECT seq, body FROM audit_entries WHERE seq >= $1 AND seq < $2 \
            ORDER BY seq LIMIT $3";
        let rows = sqlx::query(sql)
            .bind(to_db(from))
            .bind(to_db(to))
            .bind(most);
        let rows = rows.fetch_all(store.pool()).await?;
        let read = rows
            .iter()
            .map(|row| Ok((from_db(row.try_get("seq")?), row.try_get("body")?)))
            .collect::<Result<Vec<(u64, Vec<u8>)>, sqlx::Error>>()?;
        if read.first().is_some_and(|(seq, _)| *seq == from) {
            self.file = None;
            return Ok(read);
        }
        let is_inside = |file: &Listed| file.first <= from && from < file.next;
        if !self.file.as_ref().is_some_and(|(file, _)| is_inside(file)) {
            let mut connection = store.pool().acquire().await?;
            let file = tables::file_of(&mut connection, from).await?;
            drop(connection);
            let Some(file) = file else {
                return Ok(read);
            };
            if !file.state.is_readable() {
                return Err(ColdError::Expired(file.next));
            }
            let records = self::rows(store, &file).await?;
            self.file = Some((file, records));
        }
        let most = usize::try_from(most).unwrap_or(0);
        let rows = self.file.iter().flat_map(|(_, rows)| rows);
        let wanted = rows.filter(|row| (from..to).contains(&from_db(row.seq)));
        let wanted = wanted.take(most);
        Ok(wanted
            .map(|row| (from_db(row.seq), row.body.to_vec()))
            .collect())
    }
}
