//! Scripts on PostgreSQL.

use sqlx::AnyConnection;

use super::JournalError;
use crate::store::script::Script;

pub(super) async fn commit(
    connection: &mut AnyConnection,
    script: &Script,
) -> Result<(), JournalError> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    match script.run(connection).await {
        Ok(true) => {
            sqlx::raw_sql("COMMIT").execute(connection).await?;
            Ok(())
        }
        not_done => {
            // The first error is the one to tell; a connection that is gone rolls back by itself.
            let _ = sqlx::raw_sql("ROLLBACK").execute(connection).await;
            not_done?;
            Err(JournalError::Guard)
        }
    }
}
