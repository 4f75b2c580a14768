//! What one transaction writes, put together before it begins: so that it takes a
//! database no longer than the writing itself.

use std::fmt::Write as _;

use prost::bytes::Bytes;
use sqlx::any::AnyArguments;
use sqlx::{AnyConnection, Arguments as _, AssertSqlSafe};

/// Rows per statement, largest first: few different texts, so that each stays prepared.
const BATCHES: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// A statement that is run over rows of values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// Up to and with `VALUES` or `IN (VALUES`, without parameters.
    pub(crate) head: &'static str,
    /// Values per row.
    pub(crate) columns: usize,
    /// What follows the rows.
    pub(crate) tail: &'static str,
}

impl Rows {
    /// The statement for so many rows.
    pub(super) fn sql(&self, rows: usize) -> String {
        let mut sql = String::with_capacity(self.head.len() + rows * self.columns * 6);
        sql.push_str(self.head);
        let mut parameter = 0usize;
        for row in 0..rows {
            sql.push_str(if row == 0 { " (" } else { ", (" });
            for column in 0..self.columns {
                parameter += 1;
                let comma = if column == 0 { "" } else { ", " };
                // A text takes whatever is written to it.
                let _ = write!(sql, "{comma}${parameter}");
            }
            sql.push(')');
        }
        sql.push(' ');
        sql.push_str(self.tail);
        sql
    }
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Integer(i64),
    Text(String),
    Blob(Bytes),
    NoInteger,
    NoText,
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Self::NoInteger, Self::Integer)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        value.map_or(Self::NoText, Self::Text)
    }
}

impl From<Bytes> for Value {
    fn from(value: Bytes) -> Self {
        Self::Blob(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value.into())
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(Bytes::copy_from_slice(value))
    }
}

/// Statements in their order, each with its rows.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(super) steps: Vec<Step>,
}

/// A statement with its rows.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) rows: Rows,
    /// Of all rows, one after the other.
    pub(super) values: Vec<Value>,
    /// It must change exactly one row of the database, or nothing of the script counts.
    pub(super) is_guard: bool,
}

impl Script {
    /// Adds a statement over `items`, a row each.
    pub(crate) fn write<T, const N: usize>(
        &mut self,
        rows: Rows,
        items: impl IntoIterator<Item = T>,
        row: impl Fn(T) -> [Value; N],
    ) {
        debug_assert_eq!(rows.columns, N);
        let values: Vec<Value> = items.into_iter().flat_map(row).collect();
        if !values.is_empty() {
            self.steps.push(Step {
                rows,
                values,
                is_guard: false,
            });
        }
    }

    /// Adds a statement that must change exactly one row of the database, or nothing of the
    /// script counts.
    pub(crate) fn guard<const N: usize>(&mut self, rows: Rows, row: [Value; N]) {
        debug_assert_eq!(rows.columns, N);
        self.steps.push(Step {
            rows,
            values: row.into(),
            is_guard: true,
        });
    }

    /// Runs all of it within a transaction; `false`: a row that had to change did not, and the
    /// transaction must be rolled back.
    pub(crate) async fn run(&self, connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
        for step in &self.steps {
            let changed = step.run(connection).await?;
            if step.is_guard && changed != 1 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Step {
    /// Several rows per statement: each goes to another thread or machine and back. Returns how
    /// many rows have changed.
    async fn run(&self, connection: &mut AnyConnection) -> Result<u64, sqlx::Error> {
        let columns = self.rows.columns.max(1);
        let mut rest = self.values.as_slice();
        let mut changed = 0;
        while let Some((values, after)) = BATCHES
            .iter()
            .find_map(|rows| rest.split_at_checked(rows * columns))
        {
            rest = after;
            let mut arguments = AnyArguments::default();
            for value in values {
                add(&mut arguments, value).map_err(sqlx::Error::Encode)?;
            }
            let sql = AssertSqlSafe(self.rows.sql(values.len() / columns));
            let done = sqlx::query_with(sql, arguments).execute(&mut *connection);
            changed += done.await?.rows_affected();
        }
        Ok(changed)
    }
}

fn add(arguments: &mut AnyArguments, value: &Value) -> Result<(), sqlx::error::BoxDynError> {
    match value {
        Value::Integer(integer) => arguments.add(*integer),
        Value::Text(text) => arguments.add(text.clone()),
        Value::Blob(bytes) => arguments.add(bytes.to_vec()),
        Value::NoInteger => arguments.add(None::<i64>),
        Value::NoText => arguments.add(None::<String>),
    }
}
