//! Every policy that was served, so that the log can be read with the prices of its time.

use serde_json::{Value, json};
use sqlx::{Connection as _, Row as _};

use super::figures::to_db;
use super::{Store, StoreError, pending};
use crate::events::{Author, digest};

/// One row for each change, oldest first.
pub(crate) const DDL: &str = "
CREATE TABLE policies (
    number BIGINT NOT NULL PRIMARY KEY,
    served_from BIGINT NOT NULL,
    policy TEXT NOT NULL
);
";

const NEWEST: &str = "SELECT number, policy FROM policies ORDER BY number DESC LIMIT 1";

/// The policy that was served last, as JSON.
///
/// # Errors
/// [`StoreError`].
pub async fn newest(store: &Store) -> Result<Option<String>, StoreError> {
    let row = sqlx::query(NEWEST).fetch_optional(store.pool()).await?;
    let policy = row.map(|row| row.try_get("policy")).transpose();
    Ok(policy?)
}

/// Notes that this policy is served from now on, if the last one was another; that is an event,
/// with the digests of both.
///
/// # Errors
/// [`StoreError`].
pub async fn serve(store: &Store, policy: &str, author: &mut Author) -> Result<(), StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    let last = sqlx::query(NEWEST)
        .fetch_optional(&mut *transaction)
        .await?;
    let (number, former, same) = match &last {
        None => (0, None, false),
        Some(row) => {
            let (number, former): (i64, String) = (row.try_get("number")?, row.try_get("policy")?);
            (number, Some(state(number, &former)), former == policy)
        }
    };
    if !same {
        sqlx::query("INSERT INTO policies (number, served_from, policy) VALUES ($1, $2, $3)")
            .bind(number + 1)
            .bind(to_db(author.at().0))
            .bind(policy)
            .execute(&mut *transaction)
            .await?;
        let told = author.tell("policy.serve", "policy");
        let told = told.before(former).after(Some(state(number + 1, policy)));
        pending::leave(&mut transaction, told).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// What is on record of a policy: it is in the database under this number, and whoever has the
/// file can tell by the digest of its JSON.
fn state(number: i64, policy: &str) -> Value {
    json!({"number": number, "sha256": digest(policy.as_bytes())})
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_domain::UnixMillis;

    #[tokio::test]
    async fn a_policy_is_noted_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("d.db").display());
        let store = Store::open(&url).await.unwrap();
        assert_eq!(newest(&store).await.unwrap(), None);
        for (at, policy) in [(1, "{}"), (2, "{}"), (3, "{\"a\":1}"), (4, "{}")] {
            let mut author = Author::program("test", UnixMillis(at), [7; 32]);
            serve(&store, policy, &mut author).await.unwrap();
        }
        assert_eq!(newest(&store).await.unwrap().as_deref(), Some("{}"));
        let row = sqlx::query("SELECT COUNT(*) AS n FROM policies")
            .fetch_one(store.pool())
            .await;
        assert_eq!(row.unwrap().try_get::<i64, _>("n").unwrap(), 3);
    }
}
