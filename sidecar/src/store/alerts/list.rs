//! Alerts in their order.

use sekisho_domain::UnixMillis;
use sqlx::{AnyConnection, Row as _};

use super::{StoredAlert, read};
use crate::alerts::alert::{RuleName, Severity};
use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError};

/// Which alerts; absent members do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of one rule.
    pub rule: Option<RuleName>,
    /// That matter so much at least.
    pub severity: Option<Severity>,
    /// About this person, key, address, code, budget, ...
    pub subject: Option<String>,
    /// Of one department.
    pub department: Option<String>,
    /// That somebody has taken note of, or nobody.
    pub acknowledged: Option<bool>,
    /// Not before this moment.
    pub from: Option<UnixMillis>,
    /// Before this moment.
    pub to: Option<UnixMillis>,
}

/// Alerts before the place `before`, newest first, at most `limit`.
///
/// # Errors
/// [`StoreError`].
pub async fn newest(
    store: &Store,
    filter: &Filter,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<StoredAlert>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    newest_on(&mut connection, filter, before, limit).await
}

pub(crate) async fn newest_on(
    connection: &mut AnyConnection,
    filter: &Filter,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<StoredAlert>, StoreError> {
    let sql = "SELECT * FROM alerts WHERE seq < $1 AND ($2 = '' OR rule = $2) \
        AND ($3 = '' OR subject = $3) AND ($4 = '' OR department = $4) \
        AND at >= $5 AND at < $6 AND severity IN ($7, $8, $9) \
        AND ($10 < 0 OR ($10 = 0 AND acknowledged_at = 0) OR ($10 = 1 AND acknowledged_at > 0)) \
        ORDER BY seq DESC LIMIT $11";
    let acknowledged: i64 = match filter.acknowledged {
        None => -1,
        Some(false) => 0,
        Some(true) => 1,
    };
    let rule = filter.rule.map(RuleName::as_str).unwrap_or_default();
    let least = filter.severity.unwrap_or_default();
    let query = sqlx::query(sql)
        .bind(to_db(before.unwrap_or(u64::MAX)))
        .bind(rule)
        .bind(filter.subject.clone().unwrap_or_default())
        .bind(filter.department.clone().unwrap_or_default())
        .bind(to_db(filter.from.unwrap_or(UnixMillis(0)).0))
        .bind(to_db(filter.to.unwrap_or(UnixMillis(u64::MAX)).0));
    let query = Severity::EVERY.into_iter().fold(query, |query, severity| {
        query.bind(severity.max(least).as_str())
    });
    let rows = query
        .bind(acknowledged)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Alerts from the place `from` on, oldest first, at most `limit`.
pub(crate) async fn since(
    store: &Store,
    from: u64,
    limit: u32,
) -> Result<Vec<StoredAlert>, StoreError> {
    let rows = sqlx::query("SELECT * FROM alerts WHERE seq >= $1 ORDER BY seq LIMIT $2")
        .bind(to_db(from))
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// The place of the next alert.
///
/// # Errors
/// [`StoreError`].
pub async fn next(store: &Store) -> Result<u64, StoreError> {
    let sql = "SELECT CAST(COALESCE(MAX(seq), 0) + 1 AS BIGINT) AS next FROM alerts";
    let row = sqlx::query(sql).fetch_one(store.pool()).await?;
    Ok(from_db(row.try_get("next")?))
}

/// How many alerts of each rule there are from `from` on and before `to`.
pub(crate) async fn counts(
    connection: &mut AnyConnection,
    from: UnixMillis,
    to: UnixMillis,
) -> Result<Vec<(String, String, u64)>, StoreError> {
    let sql = "SELECT rule, severity, CAST(COUNT(*) AS BIGINT) AS alerts FROM alerts \
        WHERE at >= $1 AND at < $2 GROUP BY rule, severity ORDER BY rule, severity";
    let rows = sqlx::query(sql)
        .bind(to_db(from.0))
        .bind(to_db(to.0))
        .fetch_all(connection)
        .await?;
    let counts = rows.iter().map(|row| {
        let count = from_db(row.try_get("alerts")?);
        Ok((row.try_get("rule")?, row.try_get("severity")?, count))
    });
    counts.collect()
}
