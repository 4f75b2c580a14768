//! What the database knows of records that were moved.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use crate::log::sorted;
use crate::log::tree::{Hash, Tree};
use crate::store::figures::{from_db, to_db};

/// `audit_cold` has the leaves of all records that are no longer in `audit_entries`.
/// `cold_files`: the files in which they are: the records from `first` to before `next`;
/// `roots`: the tree over all records before `next`; `from_at`, `to_at`: the earliest and the
/// latest moment in it, both included; `state`: see [`State`].
pub(crate) const DDL: &str = "
CREATE TABLE cold_place (
    id {key},
    url TEXT NOT NULL
);
CREATE TABLE cold_files (
    first {key},
    next BIGINT NOT NULL,
    day TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 {blob} NOT NULL,
    from_at BIGINT NOT NULL,
    to_at BIGINT NOT NULL,
    roots {blob} NOT NULL,
    state BIGINT NOT NULL
);
CREATE INDEX cold_files_to_at ON cold_files (to_at);
CREATE TABLE audit_cold (
    seq {key},
    record_id {blob} NOT NULL,
    kind BIGINT NOT NULL,
    leaf_hash {blob} NOT NULL,
    UNIQUE (record_id, kind)
);
";

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// It is there; some of its records may be in the database still.
    Written,
    /// Its records are there alone.
    Moved,
    /// Its time was over; it may be there still.
    Expired,
    /// It was deleted.
    Deleted,
}

impl State {
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Written => 0,
            Self::Moved => 1,
            Self::Expired => 2,
            Self::Deleted => 3,
        }
    }

    const fn of(number: i64) -> Self {
        match number {
            0 => Self::Written,
            1 => Self::Moved,
            2 => Self::Expired,
            _ => Self::Deleted,
        }
    }

    /// Whether its records can be read from it.
    pub(crate) const fn is_readable(self) -> bool {
        matches!(self, Self::Written | Self::Moved)
    }
}

/// A file as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) first: u64,
    pub(crate) next: u64,
    pub(crate) day: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: Vec<u8>,
    pub(crate) from_at: i64,
    pub(crate) to_at: i64,
    pub(crate) roots: Vec<u8>,
    pub(crate) state: State,
}

impl Listed {
    /// The name of the object.
    pub(crate) fn name(&self) -> String {
        name(&self.day, self.first, self.next)
    }

    /// The tree over all records up to its last.
    pub(crate) fn tree(&self) -> Option<Tree> {
        Tree::from_stored(self.next, &self.roots).ok()
    }

    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            first: from_db(row.try_get("first")?),
            next: from_db(row.try_get("next")?),
            day: row.try_get("day")?,
            bytes: from_db(row.try_get("bytes")?),
            sha256: row.try_get("sha256")?,
            from_at: row.try_get("from_at")?,
            to_at: row.try_get("to_at")?,
            roots: row.try_get("roots")?,
            state: State::of(row.try_get("state")?),
        })
    }
}

/// The name of the file with the records from `first` to before `next`.
pub(crate) fn name(day: &str, first: u64, next: u64) -> String {
    let last = next.saturating_sub(1);
    format!("{}/{first:012}-{last:012}.parquet", folder(day))
}

/// From which record to before which one the file of this name goes.
pub(crate) fn range(name: &str) -> Option<(u64, u64)> {
    let (_, name) = name.rsplit_once('/')?;
    let (first, last) = name.strip_suffix(".parquet")?.split_once('-')?;
    let last: u64 = last.parse().ok()?;
    Some((first.parse().ok()?, last.checked_add(1)?))
}

/// The folder of a day.
pub(crate) fn folder(day: &str) -> String {
    format!("day={day}")
}

/// Every file, in the order of the log.
pub(crate) async fn files(connection: &mut AnyConnection) -> Result<Vec<Listed>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM cold_files ORDER BY first");
    let rows = rows.fetch_all(connection).await?;
    rows.iter().map(Listed::read).collect()
}

/// The last file.
pub(crate) async fn last(connection: &mut AnyConnection) -> Result<Option<Listed>, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM cold_files ORDER BY first DESC LIMIT 1");
    let row = row.fetch_optional(connection).await?;
    row.as_ref().map(Listed::read).transpose()
}

/// The file in which this record is or was.
pub(crate) async fn file_of(
    connection: &mut AnyConnection,
    seq: u64,
) -> Result<Option<Listed>, sqlx::Error> {
    let sql = "SELECT * FROM cold_files WHERE first <= $1 ORDER BY first DESC LIMIT 1";
    let row = sqlx::query(sql).bind(to_db(seq)).fetch_optional(connection);
    let file = row.await?.as_ref().map(Listed::read).transpose()?;
    Ok(file.filter(|file| seq < file.next))
}

/// The readable files that have something between two moments, both included; those with the
/// latest end first.
pub(crate) async fn between(
    connection: &mut AnyConnection,
    (from, to): (i64, i64),
) -> Result<Vec<Listed>, sqlx::Error> {
    let sql = "SELECT * FROM cold_files WHERE to_at >= $1 AND from_at <= $2 AND state < 2 \
        ORDER BY to_at DESC, first DESC";
    let rows = sqlx::query(sql).bind(from).bind(to);
    let rows = rows.fetch_all(connection).await?;
    rows.iter().map(Listed::read).collect()
}

/// Notes a file that is written and was compared; `false`: one with its first record is noted
/// already.
pub(crate) async fn add(
    connection: &mut AnyConnection,
    file: &Listed,
) -> Result<bool, sqlx::Error> {
    let sql = "INSERT INTO cold_files (first, next, day, bytes, sha256, from_at, to_at, roots, \
        state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
    let noted = sqlx::query(sql)
        .bind(to_db(file.first))
        .bind(to_db(file.next))
        .bind(file.day.clone())
        .bind(to_db(file.bytes))
        .bind(file.sha256.clone())
        .bind(file.from_at)
        .bind(file.to_at)
        .bind(file.roots.clone())
        .bind(file.state.number())
        .execute(connection)
        .await?;
    Ok(noted.rows_affected() == 1)
}

/// What became of a file; `false`: that is known already.
pub(crate) async fn set_state(
    connection: &mut AnyConnection,
    first: u64,
    state: State,
) -> Result<bool, sqlx::Error> {
    let sql = "UPDATE cold_files SET state = $2 WHERE first = $1 AND state < $2";
    let set = sqlx::query(sql).bind(to_db(first)).bind(state.number());
    Ok(set.execute(connection).await?.rows_affected() == 1)
}

/// Takes the next records out of the database that are before `next`, at most `most` of them,
/// within a transaction; how many.
pub(crate) async fn take_out(
    connection: &mut AnyConnection,
    next: u64,
    most: u64,
) -> Result<u64, sqlx::Error> {
    let sql = "SELECT CAST(COALESCE(MIN(seq), $1) AS BIGINT) AS first FROM audit_entries \
        WHERE seq < $1";
    let row = sqlx::query(sql)
        .bind(to_db(next))
        .fetch_one(&mut *connection);
    let first = from_db(row.await?.try_get("first")?);
    let to = next.min(first.saturating_add(most));
    let sql = "INSERT INTO audit_cold (seq, record_id, kind, leaf_hash) \
        SELECT seq, record_id, kind, leaf_hash FROM audit_entries WHERE seq >= $1 AND seq < $2";
    let moved = sqlx::query(sql)
        .bind(to_db(first))
        .bind(to_db(to))
        .execute(&mut *connection)
        .await?;
    sorted::take_out(connection, (first, to)).await?;
    sqlx::query("DELETE FROM audit_entries WHERE seq >= $1 AND seq < $2")
        .bind(to_db(first))
        .bind(to_db(to))
        .execute(connection)
        .await?;
    Ok(moved.rows_affected())
}

/// The hashes of leaves from `from` on, at most so many, each with its place; also of records
/// that were moved.
pub(crate) async fn leaves(
    connection: &mut AnyConnection,
    (from, to): (u64, u64),
    most: i64,
) -> Result<Vec<(u64, Vec<u8>)>, sqlx::Error> {
    let mut leaves = Vec::new();
    for sql in [
        "SELECT seq, leaf_hash FROM audit_cold WHERE seq >= $1 AND seq < $2 \
         ORDER BY seq LIMIT $3",
        "SELECT seq, leaf_hash FROM audit_entries WHERE seq >= $1 AND seq < $2 \
         ORDER BY seq LIMIT $3",
    ] {
        let left = most.saturating_sub(i64::try_from(leaves.len()).unwrap_or(most));
        if left == 0 {
            break;
        }
        let rows = sqlx::query(sql)
            .bind(to_db(from))
            .bind(to_db(to))
            .bind(left);
        for row in rows.fetch_all(&mut *connection).await? {
            leaves.push((from_db(row.try_get("seq")?), row.try_get("leaf_hash")?));
        }
    }
    Ok(leaves)
}

/// A stored hash; one of another length was tampered with, and no tree has it.
pub(crate) fn hash(stored: &[u8]) -> Hash {
    Hash::try_from(stored).unwrap_or_default()
}

/// Where the records of a call are that were moved.
pub(crate) async fn of_call(
    connection: &mut AnyConnection,
    id: &[u8],
) -> Result<Vec<u64>, sqlx::Error> {
    let rows = sqlx::query("SELECT seq FROM audit_cold WHERE record_id = $1 ORDER BY seq");
    let rows = rows.bind(id.to_vec()).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok(from_db(row.try_get("seq")?)))
        .collect()
}

/// The place of the first record that is in the database; none: none is.
pub(crate) async fn first_warm(connection: &mut AnyConnection) -> Result<Option<u64>, sqlx::Error> {
    let row = sqlx::query("SELECT MIN(seq) AS first FROM audit_entries").fetch_one(connection);
    let first: Option<i64> = row.await?.try_get("first")?;
    Ok(first.map(from_db))
}
