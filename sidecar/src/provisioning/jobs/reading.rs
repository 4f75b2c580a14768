//! How jobs stand.

use sekisho_domain::UnixMillis;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::tables::task;
use super::{Deed, Job, State, Task};
use crate::store::figures::from_db;
use crate::store::{Store, StoreError};

/// Tasks of a job by what is to be done and how they stand.
pub type Counts = Vec<(Deed, State, u64)>;

/// One job.
///
/// # Errors
/// [`StoreError`].
pub async fn job(store: &Store, id: &str) -> Result<Option<Job>, StoreError> {
    let row = sqlx::query("SELECT * FROM provisioning_jobs WHERE id = $1")
        .bind(id)
        .fetch_optional(store.pool())
        .await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// The newest job of this kind.
///
/// # Errors
/// [`StoreError`].
pub async fn latest(store: &Store, kind: &str) -> Result<Option<Job>, StoreError> {
    let sql = "SELECT * FROM provisioning_jobs WHERE kind = $1 ORDER BY id DESC LIMIT 1";
    let row = sqlx::query(sql)
        .bind(kind)
        .fetch_optional(store.pool())
        .await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// Jobs, newest first, before the job `before`; empty: from the newest.
///
/// # Errors
/// [`StoreError`].
pub async fn list(store: &Store, before: &str, limit: u32) -> Result<Vec<Job>, StoreError> {
    let sql = "SELECT * FROM provisioning_jobs WHERE id < $1 OR $1 = '' ORDER BY id DESC LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Tasks of a job after the number `after`.
///
/// # Errors
/// [`StoreError`].
pub async fn tasks(
    store: &Store,
    job: &str,
    after: i64,
    limit: u32,
) -> Result<Vec<Task>, StoreError> {
    let sql = "SELECT t.*, j.caller AS caller FROM provisioning_tasks t \
               JOIN provisioning_jobs j ON j.id = t.job \
               WHERE t.job = $1 AND t.number > $2 ORDER BY t.number LIMIT $3";
    let rows = sqlx::query(sql)
        .bind(job)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
    Ok(rows.iter().map(task).collect::<Result<_, _>>()?)
}

/// How the tasks of a job stand.
///
/// # Errors
/// [`StoreError`].
pub async fn counts(store: &Store, job: &str) -> Result<Counts, StoreError> {
    let sql = "SELECT deed, state, CAST(COUNT(*) AS BIGINT) AS tasks FROM provisioning_tasks \
               WHERE job = $1 GROUP BY deed, state";
    let rows = sqlx::query(sql).bind(job).fetch_all(store.pool()).await?;
    let read = |row: &AnyRow| {
        let deed: String = row.try_get("deed")?;
        let state: String = row.try_get("state")?;
        let deed = Deed::ALL.into_iter().find(|known| known.as_str() == deed);
        let tasks = from_db(row.try_get("tasks")?);
        Ok((deed.unwrap_or(Deed::Update), State::of(&state), tasks))
    };
    let counts: Result<_, sqlx::Error> = rows.iter().map(read).collect();
    Ok(counts?)
}

/// How all that is to be done stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Tasks that wait.
    pub waiting: u64,
    /// Of these, tasks that were tried in vain.
    pub retrying: u64,
    /// Tasks that have failed.
    pub failed: u64,
    /// When the oldest job that is running was confirmed.
    pub oldest: Option<UnixMillis>,
    /// People who have an account by us.
    pub accounts: u64,
}

/// How all that is to be done stands.
///
/// # Errors
/// [`StoreError`].
pub async fn standing(store: &Store) -> Result<Standing, StoreError> {
    let sql = "SELECT \
        (SELECT COUNT(*) FROM provisioning_tasks WHERE state = 'waiting') AS waiting, \
        (SELECT COUNT(*) FROM provisioning_tasks WHERE state = 'waiting' AND attempts > 0) AS retrying, \
        (SELECT COUNT(*) FROM provisioning_tasks WHERE state = 'failed') AS failed, \
        (SELECT COALESCE(MIN(started_at), 0) FROM provisioning_jobs WHERE state = 'running') AS oldest, \
        (SELECT COUNT(*) FROM provisioned_accounts) AS accounts";
    let row = sqlx::query(sql).fetch_one(store.pool()).await?;
    let figure = |column: &str| row.try_get::<i64, _>(column).map(from_db);
    let oldest = figure("oldest")?;
    Ok(Standing {
        waiting: figure("waiting")?,
        retrying: figure("retrying")?,
        failed: figure("failed")?,
        oldest: (oldest > 0).then_some(UnixMillis(oldest)),
        accounts: figure("accounts")?,
    })
}

/// How many tasks of a person wait.
///
/// # Errors
/// [`StoreError`].
pub async fn waiting_for(store: &Store, person: &str) -> Result<u64, StoreError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) AS waiting FROM provisioning_tasks \
               WHERE person = $1 AND state = 'waiting'";
    let row = sqlx::query(sql)
        .bind(person)
        .fetch_one(store.pool())
        .await?;
    Ok(from_db(row.try_get("waiting")?))
}

fn read(row: &AnyRow) -> Result<Job, sqlx::Error> {
    let moment = |column: &str| {
        let at = row.try_get::<i64, _>(column).map(from_db)?;
        Ok::<_, sqlx::Error>((at > 0).then_some(UnixMillis(at)))
    };
    Ok(Job {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        state: row.try_get("state")?,
        created_at: UnixMillis(from_db(row.try_get("created_at")?)),
        started_at: moment("started_at")?,
        ended_at: moment("ended_at")?,
        version: row.try_get("directory_version")?,
    })
}
