//! Which files were picked up, and what of them is left to do.

use sekisho_domain::{EventOutcome, UnixMillis};
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use crate::events::Author;
use crate::people::csv::RowProblem;
use crate::provisioning::sheet;
use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError, pending};

/// How long it is known that there was a file, milliseconds.
const KEPT: u64 = 90 * 24 * 3600 * 1000;

/// Most wrong values that are kept of a file.
const MOST_ERRORS: usize = 100_000;

/// `taken`: 1: `id` is a job; 0: the file was refused. `errors`: a CSV file, until it is beside the
/// file. `ended_at`: 0: the file has not been set aside yet.
pub(crate) const DDL: &str = "
CREATE TABLE pickups (
    serial {key},
    id TEXT NOT NULL UNIQUE,
    place TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    taken BIGINT NOT NULL,
    errors TEXT NOT NULL,
    at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX pickups_open ON pickups (place, name, version) WHERE ended_at = 0;
";

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::provisioning) struct Found {
    /// The URL of the place.
    pub(in crate::provisioning) place: String,
    /// Its name there.
    pub(in crate::provisioning) name: String,
    /// Its version there.
    pub(in crate::provisioning) version: String,
    /// The digest of what is in it; empty: it was not read.
    pub(in crate::provisioning) sha256: String,
    /// How large it is.
    pub(in crate::provisioning) bytes: u64,
    /// The newest pick-up from before the place was looked at.
    pub(in crate::provisioning) after: i64,
}

impl Found {
    fn shown(&self) -> Value {
        let mut shown = json!({"place": self.place, "name": self.name, "bytes": self.bytes});
        if let (Some(members), false) = (shown.as_object_mut(), self.sha256.is_empty()) {
            members.insert("sha256".to_owned(), self.sha256.clone().into());
        }
        shown
    }
}

/// A file that was picked up and is still where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) bytes: u64,
    /// There is a job.
    pub(super) taken: bool,
    /// What is wrong with it, as a CSV file.
    pub(super) errors: String,
}

/// The number of the newest pick-up.
pub(super) async fn newest(store: &Store) -> Result<i64, StoreError> {
    let sql = "SELECT COALESCE(MAX(serial), 0) AS newest FROM pickups";
    let row = sqlx::query(sql).fetch_one(store.pool()).await?;
    Ok(row.try_get("newest")?)
}

/// Files of this place that have not been set aside yet, oldest first.
pub(super) async fn open(store: &Store, place: &str) -> Result<Vec<Open>, StoreError> {
    let sql = "SELECT * FROM pickups WHERE place = $1 AND ended_at = 0 ORDER BY serial";
    let rows = sqlx::query(sql).bind(place).fetch_all(store.pool()).await?;
    let read = |row: &AnyRow| {
        Ok::<_, sqlx::Error>(Open {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            version: row.try_get("version")?,
            bytes: from_db(row.try_get("bytes")?),
            taken: row.try_get::<i64, _>("taken")? != 0,
            errors: row.try_get("errors")?,
        })
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Whether a file that was picked up is yet to reach the directory: the plan of another one would not
/// see it.
pub(super) async fn is_under_way(store: &Store) -> Result<bool, StoreError> {
    let sql = "SELECT COUNT(*) AS tasks FROM provisioning_tasks t JOIN pickups p ON p.id = t.job \
               WHERE p.ended_at = 0 AND p.taken = 1 AND t.state = 'waiting' \
               AND t.phase IN ('look', 'look_by_name', 'create', 'save')";
    let row = sqlx::query(sql).fetch_one(store.pool()).await?;
    Ok(row.try_get::<i64, _>("tasks")? > 0)
}

/// Notes a file, within the transaction of its job or its refusal (`taken`), and puts it on record.
/// `false`: it was picked up already, maybe by another sidecar since the place was looked at.
pub(in crate::provisioning) async fn note(
    connection: &mut AnyConnection,
    found: &Found,
    (id, taken): (&str, bool),
    why: &str,
    author: &mut Author,
) -> Result<bool, StoreError> {
    let forgotten = author.at().0.saturating_sub(KEPT);
    sqlx::query("DELETE FROM pickups WHERE ended_at > 0 AND ended_at < $1")
        .bind(to_db(forgotten))
        .execute(&mut *connection)
        .await?;
    // One that was set aside before may have been put there again.
    let sql = "INSERT INTO pickups (serial, id, place, name, version, sha256, bytes, taken, errors, \
               at, ended_at) SELECT COALESCE(MAX(serial), 0) + 1, $1, $2, $3, $4, $5, $6, $7, '', \
               $8, 0 FROM pickups HAVING NOT EXISTS (SELECT 1 FROM pickups WHERE place = $2 \
               AND name = $3 AND version = $4 AND (ended_at = 0 OR serial > $9))";
    let noted = sqlx::query(sql)
        .bind(id)
        .bind(&found.place)
        .bind(&found.name)
        .bind(&found.version)
        .bind(&found.sha256)
        .bind(to_db(found.bytes))
        .bind(i64::from(taken))
        .bind(to_db(author.at().0))
        .bind(found.after)
        .execute(&mut *connection)
        .await?;
    if noted.rows_affected() == 0 {
        return Ok(false);
    }
    let told = author.tell("provisioning.pickup", id);
    let told = told.after(Some(found.shown()));
    let told = if taken {
        told
    } else {
        told.outcome(EventOutcome::Failure).detail(why)
    };
    pending::leave(connection, told).await?;
    Ok(true)
}

/// Keeps what is wrong with a file that was noted.
pub(in crate::provisioning) async fn keep_errors(
    connection: &mut AnyConnection,
    id: &str,
    problems: &[RowProblem],
) -> Result<(), StoreError> {
    let shown = problems.get(..MOST_ERRORS).unwrap_or(problems);
    let mut shown = shown.to_vec();
    if problems.len() > shown.len() {
        let rest = problems.len() - shown.len();
        shown.push(RowProblem::of_line(0, format!("and {rest} more")));
    }
    sqlx::query("UPDATE pickups SET errors = $2 WHERE id = $1")
        .bind(id)
        .bind(sheet::errors(&shown)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// The file has been set aside.
pub(super) async fn end(store: &Store, id: &str, now: UnixMillis) -> Result<(), StoreError> {
    sqlx::query("UPDATE pickups SET ended_at = $2, errors = '' WHERE id = $1")
        .bind(id)
        .bind(to_db(now.0))
        .execute(store.pool())
        .await?;
    Ok(())
}

/// A file of which a job has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The URL of the place.
    pub place: String,
    /// Its name there.
    pub name: String,
    /// The digest of what was in it.
    pub sha256: String,
}

/// Of which file a job has come, if it was picked up within the last 90 days.
///
/// # Errors
/// [`StoreError`].
pub async fn source(store: &Store, job: &str) -> Result<Option<Source>, StoreError> {
    let row = sqlx::query("SELECT * FROM pickups WHERE id = $1")
        .bind(job)
        .fetch_optional(store.pool())
        .await?;
    let read = |row: &AnyRow| {
        Ok::<_, sqlx::Error>(Source {
            place: row.try_get("place")?,
            name: row.try_get("name")?,
            sha256: row.try_get("sha256")?,
        })
    };
    Ok(row.as_ref().map(read).transpose()?)
}
