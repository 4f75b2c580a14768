//! What subscription keys used, by day: read from the audit log, once per record, and never
//! in the way of those who write it.

use std::collections::BTreeMap;
use std::time::Duration;

use sekisho_domain::{AuditRecord, Micros, RecordKind, UnixMillis};
use sqlx::any::AnyRow;
use sqlx::query::Query;
use sqlx::{Connection as _, Row as _};

use crate::ledger::Calendar;
use crate::store::figures::from_db;
use crate::store::{Store, StoreError};
use crate::usage::{Days, Figures, columns, name};

/// Records that are read in one go.
const MOST_RECORDS: i64 = 5_000;
/// How far the figures may be behind while nobody asks for them.
const PERIOD: Duration = Duration::from_secs(60);

/// `next_seq`: the place in the log of the first record that is not in the figures.
pub(crate) const DDL: &str = "
CREATE TABLE key_usage (
    api_key TEXT NOT NULL,
    day TEXT NOT NULL,
    requests BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cost_micros BIGINT NOT NULL,
    PRIMARY KEY (api_key, day)
);
CREATE TABLE key_usage_position (id BIGINT NOT NULL PRIMARY KEY, next_seq BIGINT NOT NULL);
INSERT INTO key_usage_position (id, next_seq) VALUES (1, 0);
";

/// Calls with a token have an object id. A call counts for the day on which it was admitted.
const RECORDS: &str = "
SELECT ended.body AS body, ended.cost_micros AS cost_micros, admitted.at AS admitted_at
FROM audit_entries AS ended
LEFT JOIN audit_entries AS admitted
    ON admitted.record_id = ended.record_id AND admitted.kind = 1 AND ended.kind = 2
WHERE ended.seq >= $1 AND ended.seq < $2 AND ended.kind IN (2, 3) AND ended.object_id IS NULL
";

/// The log has what calls used by kind: all is read from it once more.
pub(crate) const DDL_3: &str = "
ALTER TABLE key_usage ADD COLUMN estimated BIGINT NOT NULL DEFAULT 0;
ALTER TABLE key_usage ADD COLUMN cached_input_tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE key_usage ADD COLUMN cache_write_input_tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE key_usage ADD COLUMN audio_input_tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE key_usage ADD COLUMN image_input_tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE key_usage ADD COLUMN reasoning_output_tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE key_usage ADD COLUMN audio_output_tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE key_usage ADD COLUMN image_output_tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE key_usage ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
DELETE FROM key_usage;
UPDATE key_usage_position SET next_seq = 0 WHERE id = 1;
";

macro_rules! grown {
    ($column:literal) => {
        concat!($column, " = key_usage.", $column, " + excluded.", $column)
    };
}

const ADD: &str = concat!(
    "INSERT INTO key_usage (api_key, day, ",
    columns!(name, ", "),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
     ON CONFLICT (api_key, day) DO UPDATE SET ",
    columns!(grown, ", ")
);

/// What a key used on the days on which it was used, oldest first; with every record in it
/// that is durable now.
///
/// # Errors
/// [`StoreError`].
pub async fn of_key(
    store: &Store,
    calendar: &Calendar,
    key: &str,
    days: Days,
) -> Result<Vec<(String, Figures)>, StoreError> {
    catch_up(store, calendar).await?;
    let sql = "SELECT * FROM key_usage WHERE api_key = $1 AND day >= $2 AND day <= $3 ORDER BY day";
    let rows = sqlx::query(sql)
        .bind(key)
        .bind(days.from.to_string())
        .bind(days.to.to_string())
        .fetch_all(store.pool())
        .await?;
    let of_day = |row: &AnyRow| Ok((row.try_get("day")?, Figures::read(row)?));
    rows.iter().map(of_day).collect()
}

/// Reads on and on, so that who asks need not wait for a month's records.
pub async fn keep_up(store: Store, calendar: Calendar) {
    loop {
        if let Err(error) = catch_up(&store, &calendar).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the usage of keys cannot be summed up");
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Adds what was recorded since the last time.
pub(crate) async fn catch_up(store: &Store, calendar: &Calendar) -> Result<(), StoreError> {
    while !read_on(store, calendar).await? {}
    Ok(())
}

/// Adds the next records; whether those were the last.
async fn read_on(store: &Store, calendar: &Calendar) -> Result<bool, StoreError> {
    let sql = "SELECT next_seq, (SELECT CAST(COALESCE(MAX(seq) + 1, 0) AS BIGINT) \
        FROM audit_entries) AS records FROM key_usage_position WHERE id = 1";
    let row = sqlx::query(sql).fetch_one(store.pool()).await?;
    let (from, records): (i64, i64) = (row.try_get("next_seq")?, row.try_get("records")?);
    let to = records.min(from.saturating_add(MOST_RECORDS));
    if to <= from {
        return Ok(true);
    }
    let rows = sqlx::query(RECORDS)
        .bind(from)
        .bind(to)
        .fetch_all(store.pool())
        .await?;
    let mut sums: BTreeMap<(String, String), Figures> = BTreeMap::new();
    for row in &rows {
        add(row, calendar, &mut sums)?;
    }
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    let moved = "UPDATE key_usage_position SET next_seq = $1 WHERE id = 1 AND next_seq = $2";
    let moved = sqlx::query(moved)
        .bind(to)
        .bind(from)
        .execute(&mut *transaction)
        .await?;
    if moved.rows_affected() != 1 {
        // Somebody else has added them.
        transaction.rollback().await?;
        return Ok(false);
    }
    for ((key, day), figures) in sums {
        let named = sqlx::query(ADD).bind(key).bind(day);
        let bound = figures.to_db().into_iter().fold(named, Query::bind);
        bound.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(to == records)
}

fn add(
    row: &AnyRow,
    calendar: &Calendar,
    sums: &mut BTreeMap<(String, String), Figures>,
) -> Result<(), StoreError> {
    let body: Vec<u8> = row.try_get("body")?;
    // What is no record is for `sekisho audit verify` to tell.
    let Ok(record) = serde_json::from_slice::<AuditRecord<'_>>(&body) else {
        return Ok(());
    };
    let Some(key) = &record.caller.key else {
        return Ok(());
    };
    let admitted: Option<i64> = row.try_get("admitted_at")?;
    let at = admitted.map_or(record.at, |at| UnixMillis(from_db(at)));
    let day = calendar.day(at).to_string();
    let figures = sums.entry((key.to_string(), day)).or_default();
    if record.kind == RecordKind::Refuse || record.denial.is_some() {
        figures.add(&Figures::refusal());
        return Ok(());
    }
    let usage = record.usage.unwrap_or_default();
    let source = record.usage_source.unwrap_or_default();
    let cost: Option<i64> = row.try_get("cost_micros")?;
    let cost = Micros(from_db(cost.unwrap_or(0)));
    figures.add(&Figures::of(&usage, source, cost));
    Ok(())
}
