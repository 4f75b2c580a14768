//! Destroying keys: what they encrypted can never be read again.

use jiff::civil::Date;
use sekisho_domain::event::OWN_SOURCE;
use sekisho_domain::{Event, Policy};
use serde_json::json;
use sqlx::{Connection as _, Row as _};

use crate::events::Author;
use crate::store::figures::from_db;
use crate::store::{Dialect, Store, StoreError, pending};

/// Whose bodies become unreadable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Of this department; none: of all.
    pub department: Option<String>,
    /// Of calls before this day of the company's calendar; none: of all until now.
    pub before: Option<Date>,
}

/// Why keys are destroyed: also the name by which it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody wants it.
    Shredded,
    /// They have been kept for as long as the policy wants.
    Expired,
}

impl Reason {
    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shredded => "shredded",
            Self::Expired => "expired",
        }
    }

    /// The name of its event.
    pub(crate) const fn event(self) -> &'static str {
        match self {
            Self::Shredded => "contents.shred",
            Self::Expired => "contents.expire",
        }
    }

    pub(crate) fn of_event(name: &str) -> Option<Self> {
        let mut all = [Self::Shredded, Self::Expired].into_iter();
        all.find(|reason| reason.event() == name)
    }
}

/// What was destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// Keys.
    pub keys: u64,
    /// Calls whose bodies cannot be read any more.
    pub records: u64,
}

/// Whether a department is one that there is, or was when its bodies were kept.
///
/// # Errors
/// [`StoreError`].
pub async fn is_known(
    store: &Store,
    policy: &Policy,
    department: &str,
) -> Result<bool, StoreError> {
    if policy
        .departments
        .keys()
        .any(|id| id.as_str() == department)
    {
        return Ok(true);
    }
    let sql = "SELECT id FROM contents_keys WHERE department = $1 LIMIT 1";
    let row = sqlx::query(sql).bind(department.to_owned());
    Ok(row.fetch_optional(store.pool()).await?.is_some())
}

/// What would be destroyed.
///
/// # Errors
/// [`StoreError`].
pub async fn look(store: &Store, extent: &Extent) -> Result<Destroyed, StoreError> {
    let mut connection = store.pool().acquire().await?;
    Ok(count(&mut connection, extent).await?.0)
}

/// Destroys the keys of an extent, and leaves the event of it in the same transaction. What
/// remains of them in free pages of an SQLite database, and in its write-ahead log, is overwritten
/// and cut off.
///
/// # Errors
/// [`StoreError`]: nothing was destroyed, unless cutting off the log failed.
pub async fn destroy(
    store: &Store,
    extent: &Extent,
    reason: Reason,
    author: &mut Author,
) -> Result<Destroyed, StoreError> {
    let mut connection = store.pool().acquire().await?;
    if store.dialect() == Dialect::Sqlite {
        sqlx::raw_sql("PRAGMA secure_delete = ON")
            .execute(&mut *connection)
            .await?;
    }
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    let (destroyed, through) = count(&mut transaction, extent).await?;
    if destroyed.keys == 0 {
        return Ok(destroyed);
    }
    let sql = "UPDATE contents_keys SET wrapped = NULL, destroyed_by = $1 \
        WHERE wrapped IS NOT NULL AND ($2 = '' OR department = $2) AND ($3 = '' OR day < $3)";
    let (department, before) = bound(extent);
    sqlx::query(sql)
        .bind(reason.as_str())
        .bind(department.clone())
        .bind(before.clone())
        .execute(&mut *transaction)
        .await?;
    let told = author.tell(reason.event(), &department);
    let given = |text: String| (!text.is_empty()).then_some(text);
    let told = told.after(Some(json!({
        "department": given(department), "before": given(before), "through_key": through,
        "keys": destroyed.keys, "records": destroyed.records,
    })));
    pending::leave(&mut transaction, told).await?;
    transaction.commit().await?;
    if store.dialect() == Dialect::Sqlite {
        // Somebody may be reading: the sidecar cuts it off a little later then.
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut *connection)
            .await?;
    }
    Ok(destroyed)
}

/// How much it is, and the largest number of a key in it.
async fn count(
    connection: &mut sqlx::AnyConnection,
    extent: &Extent,
) -> Result<(Destroyed, u64), sqlx::Error> {
    const WHICH: &str = "wrapped IS NOT NULL AND ($1 = '' OR department = $1) \
        AND ($2 = '' OR day < $2)";
    let (department, before) = bound(extent);
    let sql = format!(
        "SELECT CAST(COUNT(*) AS BIGINT) AS keys, CAST(COALESCE(MAX(id), 0) AS BIGINT) AS through \
         FROM contents_keys WHERE {WHICH}"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(department.clone())
        .bind(before.clone())
        .fetch_one(&mut *connection)
        .await?;
    let keys = from_db(row.try_get("keys")?);
    let through = from_db(row.try_get("through")?);
    let sql = format!(
        "SELECT CAST(COUNT(DISTINCT record_id) AS BIGINT) AS records FROM audit_contents \
         WHERE key_id IN (SELECT id FROM contents_keys WHERE {WHICH})"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(department)
        .bind(before)
        .fetch_one(connection)
        .await?;
    let records = from_db(row.try_get("records")?);
    Ok((Destroyed { keys, records }, through))
}

fn bound(extent: &Extent) -> (String, String) {
    let before = extent.before.map(|day| day.to_string());
    (
        extent.department.clone().unwrap_or_default(),
        before.unwrap_or_default(),
    )
}

/// What an event says was destroyed, for whoever verifies the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    department: Option<String>,
    before: Option<String>,
    through: u64,
    reason: Reason,
}

impl Told {
    pub(crate) fn read(event: &Event<'_>) -> Option<Self> {
        let reason = Reason::of_event(&event.name)?;
        let after = event
            .after
            .as_ref()
            .filter(|_| event.source == OWN_SOURCE)?;
        let text = |name: &str| Some(after.get(name)?.as_str()?.to_owned());
        Some(Self {
            department: text("department"),
            before: text("before"),
            through: after.get("through_key")?.as_u64()?,
            reason,
        })
    }

    /// Whether this key was destroyed then.
    pub(crate) fn has(&self, id: u64, department: &str, day: &str, by: &str) -> bool {
        id <= self.through
            && by == self.reason.as_str()
            && self.department.as_deref().is_none_or(|of| of == department)
            && self.before.as_deref().is_none_or(|before| day < before)
    }
}
