//! Scripts on PostgreSQL.

use sqlx::any::AnyArguments;
use sqlx::{AnyConnection, Arguments as _, AssertSqlSafe};

use super::JournalError;
use crate::store::script::{Script, Step, Value};

/// Rows per statement, largest first: few different texts, so that each stays prepared.
const BATCHES: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

pub(super) async fn commit(
    connection: &mut AnyConnection,
    script: &Script,
) -> Result<(), JournalError> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    match run(connection, script).await {
        Ok(()) => {
            sqlx::raw_sql("COMMIT").execute(connection).await?;
            Ok(())
        }
        Err(error) => {
            // The first error is the one to tell; a connection that is gone rolls back by itself.
            let _ = sqlx::raw_sql("ROLLBACK").execute(connection).await;
            Err(error)
        }
    }
}

async fn run(connection: &mut AnyConnection, script: &Script) -> Result<(), JournalError> {
    for step in &script.steps {
        let changed = write(connection, step).await?;
        if step.is_guard && changed != 1 {
            return Err(JournalError::Guard);
        }
    }
    Ok(())
}

async fn write(connection: &mut AnyConnection, step: &Step) -> Result<u64, sqlx::Error> {
    let columns = step.rows.columns.max(1);
    let mut rest = step.values.as_slice();
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
        let sql = AssertSqlSafe(step.rows.sql(values.len() / columns));
        let done = sqlx::query_with(sql, arguments).execute(&mut *connection);
        changed += done.await?.rows_affected();
    }
    Ok(changed)
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
