//! Many rows with one statement.

use sqlx::any::{Any, AnyArguments, AnyRow};
use sqlx::error::BoxDynError;
use sqlx::query::Query;
use sqlx::{AnyConnection, AssertSqlSafe};

/// Rows per statement, largest first: few different texts, so that each stays prepared.
const BATCHES: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// A statement with a list of rows in the middle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// Up to and with `VALUES` or `IN`, without parameters.
    pub(crate) head: &'static str,
    /// Values per row.
    pub(crate) columns: usize,
    /// What follows the rows.
    pub(crate) tail: &'static str,
}

impl Rows {
    fn sql(&self, rows: usize) -> String {
        let mut sql = String::with_capacity(self.head.len() + rows * self.columns * 6);
        sql.push_str(self.head);
        let mut parameter = 0usize;
        for row in 0..rows {
            sql.push_str(if row == 0 { " (" } else { ", (" });
            for column in 0..self.columns {
                parameter += 1;
                let comma = if column == 0 { "$" } else { ", $" };
                sql.push_str(comma);
                sql.push_str(&parameter.to_string());
            }
            sql.push(')');
        }
        sql.push(' ');
        sql.push_str(self.tail);
        sql
    }

    fn prepared<T>(
        &self,
        rows: &[T],
        bind: impl Fn(&mut AnyArguments, &T) -> Result<(), BoxDynError>,
    ) -> Result<Query<'static, Any, AnyArguments>, sqlx::Error> {
        let mut arguments = AnyArguments::default();
        for row in rows {
            bind(&mut arguments, row).map_err(sqlx::Error::Encode)?;
        }
        let sql = AssertSqlSafe(self.sql(rows.len()));
        Ok(sqlx::query_with(sql, arguments))
    }

    /// Runs the statement over all rows.
    pub(crate) async fn write<T>(
        &self,
        connection: &mut AnyConnection,
        rows: &[T],
        bind: impl Fn(&mut AnyArguments, &T) -> Result<(), BoxDynError>,
    ) -> Result<(), sqlx::Error> {
        for batch in batches(rows) {
            let query = self.prepared(batch, &bind)?;
            query.execute(&mut *connection).await?;
        }
        Ok(())
    }

    /// Runs a query over all rows; returns what it finds.
    pub(crate) async fn fetch<T>(
        &self,
        connection: &mut AnyConnection,
        rows: &[T],
        bind: impl Fn(&mut AnyArguments, &T) -> Result<(), BoxDynError>,
    ) -> Result<Vec<AnyRow>, sqlx::Error> {
        let mut found = Vec::new();
        for batch in batches(rows) {
            let query = self.prepared(batch, &bind)?;
            found.extend(query.fetch_all(&mut *connection).await?);
        }
        Ok(found)
    }
}

/// The rows in pieces of the sizes in [`BATCHES`].
fn batches<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = BATCHES.into_iter().find(|size| *size <= rows.len())?;
        let (now, rest) = rows.split_at_checked(size)?;
        rows = rest;
        Some(now)
    })
}

/// A count or amount as the database keeps it; figures over `i64::MAX` stay there.
pub(crate) fn to_db(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}

/// A count or amount as it comes from the database; never negative.
pub(crate) fn from_db(figure: i64) -> u64 {
    u64::try_from(figure).unwrap_or(0)
}
