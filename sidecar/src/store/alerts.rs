//! Alerts, each once, and what rules remember.

pub mod list;
pub mod memory;

use sekisho_domain::{RecordId, UnixMillis};
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, Row as _};

use super::figures::{from_db, to_db};
use super::{Store, StoreError, pending};
use crate::alerts::alert::{Alert, RuleName, Severity, Subject};
use crate::events::Author;
use crate::ledger::Window;

/// `seq`: the order in which they were raised. `id`: follows from rule, window and subject.
/// Unix milliseconds; `acknowledged_at`: 0: not yet. `record_id` is empty where no record
/// raised it. `alert_memory.state`: JSON; `expires`: from when on it means nothing.
pub(crate) const DDL: &str = "
CREATE TABLE alerts (
    id TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL UNIQUE,
    rule TEXT NOT NULL,
    severity TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    department TEXT,
    window_start BIGINT NOT NULL,
    window_end BIGINT NOT NULL,
    at BIGINT NOT NULL,
    found BIGINT NOT NULL,
    against BIGINT NOT NULL,
    detail TEXT,
    record_id {blob} NOT NULL,
    acknowledged_at BIGINT NOT NULL,
    acknowledged_by TEXT NOT NULL,
    note TEXT NOT NULL
);
CREATE INDEX alerts_at ON alerts (at);
CREATE TABLE alert_memory (
    rule TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (rule, subject_kind, subject)
) {clustered};
";

/// An alert as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAlert {
    /// Its public id.
    pub id: String,
    /// Its place in the order.
    pub seq: u64,
    /// What was found.
    pub alert: Alert,
    /// Who has taken note of it.
    pub acknowledged: Option<Acknowledged>,
}

/// Somebody has taken note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// When.
    pub at: UnixMillis,
    /// Who: tenant and object id.
    pub by: String,
    /// What he or she has to say about it.
    pub note: String,
}

/// Stores an alert and leaves its event, within the caller's transaction, unless it is there
/// already: then `false`.
pub(crate) async fn raise(
    connection: &mut AnyConnection,
    alert: &Alert,
    author: &mut Author,
) -> Result<bool, StoreError> {
    let id = alert.id();
    let record = alert.record.map(|id| id.0.to_vec()).unwrap_or_default();
    let sql = "INSERT INTO alerts (id, seq, rule, severity, subject_kind, subject, department, \
        window_start, window_end, at, found, against, detail, record_id, acknowledged_at, \
        acknowledged_by, note) SELECT $1, (SELECT CAST(COALESCE(MAX(seq), 0) + 1 AS BIGINT) FROM alerts), \
        $2, $3, $4, $5, $6, CAST($7 AS BIGINT), CAST($8 AS BIGINT), CAST($9 AS BIGINT), CAST($10 AS BIGINT), \
        CAST($11 AS BIGINT), $12, $13, 0, '', '' WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE id = $1)";
    let added = sqlx::query(sql)
        .bind(id.clone())
        .bind(alert.rule.as_str())
        .bind(alert.severity.as_str())
        .bind(alert.subject.kind.clone())
        .bind(alert.subject.id.clone())
        .bind(alert.department.clone())
        .bind(to_db(alert.window.start.0))
        .bind(to_db(alert.window.end.0))
        .bind(to_db(alert.at.0))
        .bind(to_db(alert.count))
        .bind(to_db(alert.against))
        .bind(alert.detail.clone())
        .bind(record)
        .execute(&mut *connection)
        .await?;
    if added.rows_affected() == 0 {
        return Ok(false);
    }
    let told = author.tell("alert.raise", &id);
    pending::leave(connection, told.after(Some(state(alert)))).await?;
    Ok(true)
}

/// What is on record of an alert.
fn state(alert: &Alert) -> Value {
    json!({
        "rule": alert.rule,
        "severity": alert.severity,
        "subject": alert.subject,
        "window_start": alert.window.start,
        "window_end": alert.window.end,
        "count": alert.count,
        "against": alert.against,
        "detail": alert.detail,
        "record_id": alert.record.map(|id| id.to_string()),
    })
}

/// One alert.
///
/// # Errors
/// [`StoreError`].
pub async fn find(store: &Store, id: &str) -> Result<Option<StoredAlert>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    find_on(&mut connection, id).await
}

async fn find_on(
    connection: &mut AnyConnection,
    id: &str,
) -> Result<Option<StoredAlert>, StoreError> {
    let row = sqlx::query("SELECT * FROM alerts WHERE id = $1")
        .bind(id.to_owned())
        .fetch_optional(connection)
        .await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// Notes that somebody has taken note, with an event; who was first stays. The alert as it is
/// then; `None`: there is no such alert.
///
/// # Errors
/// [`StoreError`].
pub async fn acknowledge(
    store: &Store,
    id: &str,
    note: &str,
    author: &mut Author,
) -> Result<Option<StoredAlert>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    let sql = "UPDATE alerts SET acknowledged_at = $2, acknowledged_by = $3, note = $4 \
        WHERE id = $1 AND acknowledged_at = 0";
    let changed = sqlx::query(sql)
        .bind(id.to_owned())
        .bind(to_db(author.at().0))
        .bind(author.identity())
        .bind(note.to_owned())
        .execute(&mut *transaction)
        .await?;
    if changed.rows_affected() > 0 {
        let told = author
            .tell("alert.acknowledge", id)
            .before(Some(json!({"acknowledged": false})))
            .after(Some(json!({"acknowledged": true, "note": note})));
        pending::leave(&mut transaction, told).await?;
    }
    let found = find_on(&mut transaction, id).await?;
    transaction.commit().await?;
    Ok(found)
}

fn read(row: &AnyRow) -> Result<StoredAlert, sqlx::Error> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let number = |column: &str| Ok::<_, sqlx::Error>(from_db(row.try_get(column)?));
    let unknown =
        |what: &str, text: &str| sqlx::Error::Decode(format!("no {what} is `{text}`").into());
    let (rule, severity) = (text("rule")?, text("severity")?);
    let record: Vec<u8> = row.try_get("record_id")?;
    let acknowledged_at = number("acknowledged_at")?;
    let acknowledged = Acknowledged {
        at: UnixMillis(acknowledged_at),
        by: text("acknowledged_by")?,
        note: text("note")?,
    };
    Ok(StoredAlert {
        id: text("id")?,
        seq: number("seq")?,
        alert: Alert {
            rule: RuleName::parse(&rule).ok_or_else(|| unknown("rule", &rule))?,
            severity: Severity::parse(&severity).ok_or_else(|| unknown("severity", &severity))?,
            subject: Subject::new(&text("subject_kind")?, &text("subject")?),
            department: row.try_get("department")?,
            window: Window {
                start: UnixMillis(number("window_start")?),
                end: UnixMillis(number("window_end")?),
            },
            at: UnixMillis(number("at")?),
            count: number("found")?,
            against: number("against")?,
            detail: row.try_get("detail")?,
            record: RecordId::from_slice(&record),
        },
        acknowledged: (acknowledged_at > 0).then_some(acknowledged),
    })
}
