//! From which record on and up to which a budget was in force, so that the log can be
//! checked by the budgets of its time.

use std::collections::BTreeMap;

use sekisho_domain::policy::raw::RawBudget;
use sekisho_domain::{Budget, BudgetId, DepartmentId, Mode, Payer, Subject};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use crate::store::budgets::definition;
use crate::store::figures::{from_db, to_db};

/// Version 5: what a term was, whatever kinds of budgets there come to be. Empty in rows of
/// before, which have it in their other columns.
pub(crate) const DDL_5: &str = "
ALTER TABLE ledger_terms ADD COLUMN definition TEXT NOT NULL DEFAULT '';
";

const COLUMNS: &str = "budget, from_seq, until_seq, department, meter, window_unit, \
    limit_amount, definition";

/// For how long a budget was in force.
#[derive(Clone, Debug)]
pub(crate) struct Term {
    /// Under the name of its counter.
    pub(crate) budget: Budget,
    /// From this record on.
    pub(crate) from: u64,
    /// Up to this record, excluded; none: still.
    pub(crate) until: Option<u64>,
}

impl Term {
    /// Whether it was in force at a record.
    pub(crate) fn is_at(&self, seq: u64) -> bool {
        self.from <= seq && self.until.is_none_or(|until| seq < until)
    }

    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let definition: String = row.try_get("definition")?;
        let counter = BudgetId(row.try_get("budget")?);
        let budget = if definition.is_empty() {
            former(row)?
        } else {
            let raw: Result<RawBudget, _> = serde_json::from_str(&definition);
            raw.ok().and_then(|raw| Budget::from_raw(&raw, 1))
        };
        let budget = budget.ok_or_else(|| sqlx::Error::Decode("a term is no budget".into()))?;
        let until: Option<i64> = row.try_get("until_seq")?;
        Ok(Self {
            budget: Budget {
                id: counter,
                ..budget
            },
            from: from_db(row.try_get("from_seq")?),
            until: until.map(from_db),
        })
    }
}

/// A budget of a department, as version 1 of the tables has it.
fn former(row: &AnyRow) -> Result<Option<Budget>, sqlx::Error> {
    let (meter, unit): (String, String) = (row.try_get("meter")?, row.try_get("window_unit")?);
    let meter = serde_json::from_value(meter.into()).ok();
    let unit = serde_json::from_value(unit.into()).ok();
    let (Some(meter), Some(unit)) = (meter, unit) else {
        return Ok(None);
    };
    Ok(Some(Budget {
        id: BudgetId::default(),
        payer: Payer::Department(DepartmentId(row.try_get("department")?)),
        subject: Subject::Everything,
        meter,
        window: Some(unit),
        limit: from_db(row.try_get("limit_amount")?),
        mode: Mode::Strict,
    }))
}

/// Every term there ever was.
pub(crate) async fn all(connection: &mut AnyConnection) -> Result<Vec<Term>, sqlx::Error> {
    let sql = format!("SELECT {COLUMNS} FROM ledger_terms");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql));
    let rows = rows.fetch_all(connection).await?;
    rows.iter().map(Term::read).collect()
}

/// The budgets of the terms that have not ended, by counter.
pub(crate) async fn open(
    connection: &mut AnyConnection,
) -> Result<BTreeMap<String, Budget>, sqlx::Error> {
    let sql = format!("SELECT {COLUMNS} FROM ledger_terms WHERE until_seq IS NULL");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql));
    let mut open = BTreeMap::new();
    for row in rows.fetch_all(connection).await? {
        let term = Term::read(&row)?;
        open.insert(term.budget.id.0.clone(), term.budget);
    }
    Ok(open)
}

/// Notes which budgets are in force from the record `size` on, and that no others are.
pub(crate) async fn save(
    connection: &mut AnyConnection,
    budgets: &[Budget],
    size: u64,
) -> Result<(), sqlx::Error> {
    let mut current = open(connection).await?;
    for budget in budgets {
        if current.remove(budget.id.as_str()).as_ref() != Some(budget) {
            begin(connection, budget, size).await?;
        }
    }
    for counter in current.keys() {
        end(connection, counter, size).await?;
    }
    Ok(())
}

/// Notes that a budget is in force as it is from the record `size` on.
pub(crate) async fn begin(
    connection: &mut AnyConnection,
    budget: &Budget,
    size: u64,
) -> Result<(), sqlx::Error> {
    end(connection, budget.id.as_str(), size).await?;
    let sql = "INSERT INTO ledger_terms \
        (budget, from_seq, department, meter, window_unit, limit_amount, definition) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (budget, from_seq) DO UPDATE SET \
        until_seq = NULL, department = excluded.department, meter = excluded.meter, \
        window_unit = excluded.window_unit, limit_amount = excluded.limit_amount, \
        definition = excluded.definition";
    let department = match &budget.payer {
        Payer::Department(id) => id.as_str(),
        _ => "",
    };
    sqlx::query(sql)
        .bind(budget.id.0.clone())
        .bind(to_db(size))
        .bind(department)
        .bind(budget.meter.as_str())
        .bind(budget.window.map_or("", |unit| unit.as_str()))
        .bind(to_db(budget.limit))
        .bind(definition(budget))
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that a counter is not in force from the record `size` on.
pub(crate) async fn end(
    connection: &mut AnyConnection,
    counter: &str,
    size: u64,
) -> Result<(), sqlx::Error> {
    let sql = "UPDATE ledger_terms SET until_seq = $1 WHERE budget = $2 AND until_seq IS NULL";
    sqlx::query(sql)
        .bind(to_db(size))
        .bind(counter)
        .execute(connection)
        .await?;
    Ok(())
}
