//! When half, four fifths and all of a budget were used up. Rows are only ever added, in the
//! transaction that used it up.

use sekisho_domain::{BudgetId, Meter, UnixMillis};
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use crate::ledger::Reached;
use crate::store::figures::{from_db, to_db};
use crate::store::script::{Rows, Script};
use crate::store::{Store, StoreError};

/// `seq`: the order in which they came, with gaps. `budget`: the plain name of the counter's
/// budget. `refused`: whether a call was refused.
pub(crate) const DDL: &str = "
CREATE TABLE budget_events (
    seq {key},
    budget TEXT NOT NULL,
    counter TEXT NOT NULL,
    meter TEXT NOT NULL,
    window_start BIGINT NOT NULL,
    window_end BIGINT NOT NULL,
    level BIGINT NOT NULL,
    limit_amount BIGINT NOT NULL,
    settled BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    at BIGINT NOT NULL
);
CREATE UNIQUE INDEX budget_events_once
    ON budget_events (counter, window_start, level, limit_amount);
CREATE INDEX budget_events_budget ON budget_events (budget, seq);
";

const EVENTS: Rows = Rows {
    head: "INSERT INTO budget_events (seq, budget, counter, meter, window_start, window_end, \
           level, limit_amount, settled, refused, at) VALUES",
    columns: 11,
    tail: "ON CONFLICT (counter, window_start, level, limit_amount) DO NOTHING",
};

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetEvent {
    /// Its place in the order.
    pub seq: u64,
    /// Of which budget, by its plain name.
    pub budget: String,
    /// What it counts.
    pub meter: Meter,
    /// First moment of the window.
    pub window_start: UnixMillis,
    /// First moment after it.
    pub window_end: UnixMillis,
    /// In percent of the limit.
    pub level: u64,
    /// The limit.
    pub limit: u64,
    /// What calls that have ended had used.
    pub settled: u64,
    /// Whether a call was refused.
    pub refused: bool,
    /// When.
    pub at: UnixMillis,
}

/// Adds events, the first under `seq`. What has been told before is left out, whoever told it.
pub(crate) fn save(script: &mut Script, levels: &[Reached], seq: u64, at: UnixMillis) {
    script.write(EVENTS, (seq..).zip(levels), |(seq, reached)| {
        [
            to_db(seq).into(),
            reached.budget.plain().to_owned().into(),
            reached.budget.0.clone().into(),
            reached.meter.as_str().to_owned().into(),
            to_db(reached.window_start.0).into(),
            to_db(reached.window_end.0).into(),
            i64::from(reached.level.percent()).into(),
            to_db(reached.limit).into(),
            to_db(reached.settled).into(),
            i64::from(reached.refused).into(),
            to_db(at.0).into(),
        ]
    });
}

/// The place of the next event.
pub(crate) async fn next(connection: &mut AnyConnection) -> Result<u64, sqlx::Error> {
    let sql = "SELECT COALESCE(MAX(seq), 0) AS newest FROM budget_events";
    let row = sqlx::query(sql).fetch_one(connection).await?;
    Ok(from_db(row.try_get("newest")?) + 1)
}

/// Events after the place `after`, oldest first, at most `limit`; of one budget, if one is
/// named.
///
/// # Errors
/// [`StoreError`].
pub async fn events(
    store: &Store,
    budget: Option<&BudgetId>,
    after: u64,
    limit: u32,
) -> Result<Vec<BudgetEvent>, StoreError> {
    let of_budget = match budget {
        Some(_) => "AND budget = $3",
        None => "",
    };
    let sql = format!(
        "SELECT seq, budget, meter, window_start, window_end, level, limit_amount, settled, \
         refused, at FROM budget_events WHERE seq > $1 {of_budget} ORDER BY seq LIMIT $2"
    );
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(to_db(after))
        .bind(i64::from(limit));
    let query = match budget {
        Some(budget) => query.bind(budget.as_str().to_owned()),
        None => query,
    };
    let rows = query.fetch_all(store.pool()).await?;
    let events = rows.iter().map(|row| {
        let number = |column| Ok::<_, sqlx::Error>(from_db(row.try_get(column)?));
        let meter: String = row.try_get("meter")?;
        Ok(BudgetEvent {
            seq: number("seq")?,
            budget: row.try_get("budget")?,
            meter: Meter::parse(&meter)
                .ok_or_else(|| sqlx::Error::Decode(format!("no meter is `{meter}`").into()))?,
            window_start: UnixMillis(number("window_start")?),
            window_end: UnixMillis(number("window_end")?),
            level: number("level")?,
            limit: number("limit_amount")?,
            settled: number("settled")?,
            refused: number("refused")? > 0,
            at: UnixMillis(number("at")?),
        })
    });
    events.collect()
}
