//! The tables of jobs, and what changes them.

use sekisho_domain::record::Caller;
use sekisho_domain::{UnixMillis, UserId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::{Deed, NewJob, Phase, State, Task, Wanted};
use crate::store::StoreError;
use crate::store::figures::{from_db, to_db};

/// Tasks that are carried out at a time.
pub(in crate::provisioning) const MOST: usize = 128;

/// `provisioned_accounts`: what was brought to the account of a person who has one by us.
/// `enabled`: -1: unknown. `spec`, `place`: digests.
pub(crate) const DDL: &str = "
CREATE TABLE provisioning_jobs (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    caller TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    directory_version BIGINT NOT NULL
);
CREATE INDEX provisioning_jobs_state ON provisioning_jobs (state);
CREATE TABLE provisioning_tasks (
    job TEXT NOT NULL,
    number BIGINT NOT NULL,
    person TEXT NOT NULL,
    deed TEXT NOT NULL,
    line BIGINT NOT NULL,
    changes TEXT NOT NULL,
    wanted TEXT NOT NULL,
    state TEXT NOT NULL,
    phase TEXT NOT NULL,
    object_id TEXT NOT NULL,
    unsure BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (job, number)
);
CREATE INDEX provisioning_tasks_due ON provisioning_tasks (state, next_at);
CREATE INDEX provisioning_tasks_person ON provisioning_tasks (person, state);
CREATE TABLE provisioned_accounts (
    person TEXT NOT NULL PRIMARY KEY,
    enabled BIGINT NOT NULL,
    spec TEXT NOT NULL,
    place TEXT NOT NULL,
    ours BIGINT NOT NULL,
    notified BIGINT NOT NULL
);
";

/// Whoever had an account when notices began is not told of it any more.
pub(crate) const DDL_12: &str = "
UPDATE provisioned_accounts SET notified = 1;
";

/// Tasks in the order in which they are carried out: nobody sorts ten thousand to find the next ones.
pub(crate) const DDL_16: &str = "
CREATE INDEX provisioning_tasks_order ON provisioning_tasks (state, job, number);
DROP INDEX provisioning_tasks_due;
";

/// Adds a job, within the transaction of what it follows from.
///
/// # Errors
/// [`StoreError`].
pub async fn add(connection: &mut AnyConnection, job: &NewJob) -> Result<(), StoreError> {
    let caller = serde_json::to_string(&job.caller);
    let caller = caller.map_err(|error| sqlx::Error::Encode(error.into()))?;
    let started = if job.planned { 0 } else { to_db(job.at.0) };
    let sql = "INSERT INTO provisioning_jobs (id, kind, state, caller, created_at, started_at, \
               ended_at, directory_version) VALUES ($1, $2, $3, $4, $5, $6, 0, $7)";
    sqlx::query(sql)
        .bind(&job.id)
        .bind(job.kind)
        .bind(if job.planned { "planned" } else { "running" })
        .bind(caller)
        .bind(to_db(job.at.0))
        .bind(started)
        .bind(job.version)
        .execute(&mut *connection)
        .await?;
    let state = if job.planned {
        State::Planned
    } else {
        State::Waiting
    };
    for (number, task) in (1i64..).zip(&job.tasks) {
        let wanted = task.wanted.as_ref().map(serde_json::to_string);
        let wanted = wanted.transpose();
        let wanted = wanted.map_err(|error| sqlx::Error::Encode(error.into()))?;
        let state = match task.deed {
            Deed::Unchanged => State::Done,
            _ => state,
        };
        let sql = "INSERT INTO provisioning_tasks (job, number, person, deed, line, changes, \
                   wanted, state, phase, object_id, unsure, attempts, next_at, note) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, 0, '')";
        sqlx::query(sql)
            .bind(&job.id)
            .bind(number)
            .bind(task.person.as_str())
            .bind(task.deed.as_str())
            .bind(to_db(task.line))
            .bind(task.changes.join(" "))
            .bind(wanted.unwrap_or_default())
            .bind(state.as_str())
            .bind(task.phase.as_str())
            .bind(&task.object_id)
            .execute(&mut *connection)
            .await?;
    }
    if !job.planned {
        wake_others(connection, &job.id).await?;
        // If nothing is to be done it is done.
        end_jobs(connection, job.at).await?;
    }
    Ok(())
}

/// What waits for another try is in the way of what the same people need now: it is tried at once.
async fn wake_others(connection: &mut AnyConnection, job: &str) -> Result<(), StoreError> {
    let sql = "UPDATE provisioning_tasks SET next_at = 0 WHERE state = 'waiting' AND next_at > 0 \
               AND job <> $1 AND person IN (SELECT person FROM provisioning_tasks \
               WHERE job = $1 AND state = 'waiting')";
    sqlx::query(sql).bind(job).execute(connection).await?;
    Ok(())
}

/// Confirms a job that is planned; `false`: it is not.
///
/// # Errors
/// [`StoreError`].
pub async fn apply(
    connection: &mut AnyConnection,
    job: &str,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE provisioning_jobs SET state = 'running', started_at = $2 \
               WHERE id = $1 AND state = 'planned'";
    let done = sqlx::query(sql)
        .bind(job)
        .bind(to_db(now.0))
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    move_tasks(connection, job, State::Planned, State::Waiting).await?;
    wake_others(connection, job).await?;
    end_jobs(connection, now).await?;
    Ok(true)
}

/// Cancels what of a job has not begun; what has goes on to its end. `false`: there is no
/// such job, or it has ended.
///
/// # Errors
/// [`StoreError`].
pub async fn cancel(
    connection: &mut AnyConnection,
    job: &str,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let sql = "UPDATE provisioning_jobs SET state = CASE WHEN state = 'planned' THEN 'cancelled' \
               ELSE state END, ended_at = CASE WHEN state = 'planned' THEN $2 ELSE ended_at END \
               WHERE id = $1 AND state IN ('planned', 'running')";
    let done = sqlx::query(sql)
        .bind(job)
        .bind(to_db(now.0))
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    // An account that may have been made is not left to itself.
    let sql = "UPDATE provisioning_tasks SET state = 'cancelled', wanted = '' WHERE job = $1 AND \
               (state = 'planned' OR (state = 'waiting' AND attempts = 0 AND unsure = 0 \
               AND phase IN ('look', 'save')))";
    sqlx::query(sql).bind(job).execute(connection).await?;
    Ok(true)
}

/// Tries once more what of a job has failed; `false`: nothing has.
///
/// # Errors
/// [`StoreError`].
pub async fn retry(connection: &mut AnyConnection, job: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE provisioning_tasks SET state = 'waiting', attempts = 0, next_at = 0, \
               note = '' WHERE job = $1 AND state = 'failed'";
    let done = sqlx::query(sql).bind(job).execute(&mut *connection).await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let sql = "UPDATE provisioning_jobs SET state = 'running', ended_at = 0 WHERE id = $1";
    sqlx::query(sql).bind(job).execute(connection).await?;
    Ok(true)
}

async fn move_tasks(
    connection: &mut AnyConnection,
    job: &str,
    from: State,
    to: State,
) -> Result<(), StoreError> {
    let sql = "UPDATE provisioning_tasks SET state = $3 WHERE job = $1 AND state = $2";
    sqlx::query(sql)
        .bind(job)
        .bind(from.as_str())
        .bind(to.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Tasks whose turn it is, of each person one, at most `most`.
pub(in crate::provisioning) async fn due(
    connection: &mut AnyConnection,
    now: UnixMillis,
    most: usize,
) -> Result<Vec<Task>, StoreError> {
    // `+`: SQLite is to go along the order, not to look for times and then sort.
    let sql = "SELECT t.*, j.caller AS caller FROM provisioning_tasks t \
               JOIN provisioning_jobs j ON j.id = t.job \
               WHERE t.state = 'waiting' AND +t.next_at <= $1 AND NOT EXISTS (\
               SELECT 1 FROM provisioning_tasks e WHERE e.person = t.person \
               AND e.state = 'waiting' AND (e.job < t.job OR (e.job = t.job AND e.number < t.number))) \
               ORDER BY t.job, t.number LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(to_db(now.0))
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    Ok(rows.iter().map(task).collect::<Result<_, _>>()?)
}

/// Keeps how a task stands now. One that has ended says no more what the person was to be.
pub(in crate::provisioning) async fn save_task(
    connection: &mut AnyConnection,
    task: &Task,
) -> Result<(), StoreError> {
    let sql = "UPDATE provisioning_tasks SET state = $3, phase = $4, object_id = $5, unsure = $6, \
               attempts = $7, next_at = $8, note = $9, \
               wanted = CASE WHEN $3 = 'done' THEN '' ELSE wanted END \
               WHERE job = $1 AND number = $2";
    sqlx::query(sql)
        .bind(&task.job)
        .bind(task.number)
        .bind(task.state.as_str())
        .bind(task.phase.as_str())
        .bind(&task.object_id)
        .bind(i64::from(task.unsure))
        .bind(i64::from(task.attempts))
        .bind(to_db(task.next_at.0))
        .bind(&task.note)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends the jobs of which nothing waits any more.
pub(in crate::provisioning) async fn end_jobs(
    connection: &mut AnyConnection,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let sql = "UPDATE provisioning_jobs SET state = 'done', ended_at = $1 WHERE state = 'running' \
               AND NOT EXISTS (SELECT 1 FROM provisioning_tasks t \
               WHERE t.job = provisioning_jobs.id AND t.state = 'waiting')";
    sqlx::query(sql)
        .bind(to_db(now.0))
        .execute(connection)
        .await?;
    Ok(())
}

/// What was brought to a person's account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::provisioning) struct Known {
    /// Whether it is enabled, if that is known.
    pub(in crate::provisioning) enabled: Option<bool>,
    /// Digest of what it says.
    pub(in crate::provisioning) spec: String,
    /// Digest of its groups and app roles.
    pub(in crate::provisioning) place: String,
    /// Whether we have made it.
    pub(in crate::provisioning) ours: bool,
    /// Whether the person has been told of it.
    pub(in crate::provisioning) notified: bool,
}

pub(in crate::provisioning) async fn known(
    connection: &mut AnyConnection,
    person: &str,
) -> Result<Option<Known>, StoreError> {
    let row = sqlx::query("SELECT * FROM provisioned_accounts WHERE person = $1")
        .bind(person)
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let enabled: i64 = row.try_get("enabled")?;
    Ok(Some(Known {
        enabled: (enabled >= 0).then_some(enabled > 0),
        spec: row.try_get("spec")?,
        place: row.try_get("place")?,
        ours: row.try_get::<i64, _>("ours")? != 0,
        notified: row.try_get::<i64, _>("notified")? != 0,
    }))
}

/// Keeps what was brought to a person's account; `None`: there is none any more.
pub(in crate::provisioning) async fn save_known(
    connection: &mut AnyConnection,
    person: &UserId,
    known: Option<&Known>,
) -> Result<(), StoreError> {
    let Some(known) = known else {
        sqlx::query("DELETE FROM provisioned_accounts WHERE person = $1")
            .bind(person.as_str())
            .execute(connection)
            .await?;
        return Ok(());
    };
    let sql = "INSERT INTO provisioned_accounts (person, enabled, spec, place, ours, notified) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (person) DO UPDATE SET \
               enabled = excluded.enabled, spec = excluded.spec, place = excluded.place, \
               ours = excluded.ours, notified = excluded.notified";
    sqlx::query(sql)
        .bind(person.as_str())
        .bind(known.enabled.map_or(-1, i64::from))
        .bind(&known.spec)
        .bind(&known.place)
        .bind(i64::from(known.ours))
        .bind(i64::from(known.notified))
        .execute(connection)
        .await?;
    Ok(())
}

/// A row with the columns of a task and `caller`.
pub(super) fn task(row: &AnyRow) -> Result<Task, sqlx::Error> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let figure = |column: &str| row.try_get::<i64, _>(column);
    let decode = |error: serde_json::Error| sqlx::Error::Decode(error.into());
    let deed = text("deed")?;
    let deed = Deed::ALL.into_iter().find(|known| known.as_str() == deed);
    let wanted = text("wanted")?;
    let wanted: Option<Wanted> = match wanted.as_str() {
        "" => None,
        wanted => Some(serde_json::from_str(wanted).map_err(decode)?),
    };
    let caller = text("caller")?;
    let caller: Caller<'_> = serde_json::from_str(&caller).map_err(decode)?;
    Ok(Task {
        job: text("job")?,
        number: figure("number")?,
        person: UserId(text("person")?),
        // A later release's deed is brought up to date, which harms nobody.
        deed: deed.unwrap_or(Deed::Update),
        line: from_db(figure("line")?),
        changes: text("changes")?,
        wanted,
        state: State::of(&text("state")?),
        phase: Phase::of(&text("phase")?),
        object_id: text("object_id")?,
        unsure: figure("unsure")? != 0,
        attempts: u32::try_from(figure("attempts")?).unwrap_or(u32::MAX),
        next_at: UnixMillis(from_db(figure("next_at")?)),
        note: text("note")?,
        caller: owned(caller),
    })
}

fn owned(caller: Caller<'_>) -> Caller<'static> {
    let own = |text: Option<std::borrow::Cow<'_, str>>| text.map(|text| text.into_owned().into());
    Caller {
        tenant: own(caller.tenant),
        object_id: own(caller.object_id),
        user: own(caller.user),
        department: own(caller.department),
        application: own(caller.application),
        key: own(caller.key),
        address: own(caller.address),
    }
}
