//! What sidecars on one database must have in common although it is not in there.
//!
//! The log's signing key and the secret of the subscription keys are files. A sidecar with
//! others of its own would sign the same log with another key, and take no subscription key
//! for what it is; so each leaves a mark, by which the next one is told.

use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, Row as _};

use super::{Store, StoreError};

/// A mark tells secrets apart and says nothing about them.
pub(crate) const DDL: &str = "
CREATE TABLE state_marks (
    name TEXT NOT NULL PRIMARY KEY,
    mark {blob} NOT NULL
);
";

/// A secret that must be the same on every machine.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    /// Its file, which is also the name of its mark.
    pub name: &'a str,
    /// At least 32 random bytes, or what is public about them.
    pub secret: &'a [u8],
}

/// Compares secrets with those of the sidecars before; returns the names of those that
/// differ. The first sidecar of a database leaves the marks.
///
/// # Errors
/// [`StoreError`].
pub async fn differing<'a>(
    store: &Store,
    shared: &[Shared<'a>],
) -> Result<Vec<&'a str>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    let mut differing = Vec::new();
    for Shared { name, secret } in shared {
        let mark = mark(name, secret);
        let sql = "INSERT INTO state_marks (name, mark) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        sqlx::query(sql)
            .bind(*name)
            .bind(mark.clone())
            .execute(&mut *transaction)
            .await?;
        let row = sqlx::query("SELECT mark FROM state_marks WHERE name = $1")
            .bind(*name)
            .fetch_one(&mut *transaction)
            .await?;
        if row.try_get::<Vec<u8>, _>("mark")? != mark {
            differing.push(*name);
        }
    }
    transaction.commit().await?;
    Ok(differing)
}

fn mark(name: &str, secret: &[u8]) -> Vec<u8> {
    let hash = Sha256::new()
        .chain_update(b"sekisho state mark\0")
        .chain_update(name.as_bytes())
        .chain_update([0])
        .chain_update(secret);
    hash.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_leaves_marks_and_others_are_told_what_differs() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("d.db").display());
        let store = Store::open(&url).await.unwrap();
        let shared = |a, b| {
            [
                Shared {
                    name: "a",
                    secret: a,
                },
                Shared {
                    name: "b",
                    secret: b,
                },
            ]
        };
        let first = shared(&[1; 32][..], &[2; 32][..]);
        for _ in 0..2 {
            assert!(differing(&store, &first).await.unwrap().is_empty());
        }
        let other = shared(&[1; 32][..], &[3; 32][..]);
        assert_eq!(differing(&store, &other).await.unwrap(), ["b"]);
        assert!(differing(&store, &first).await.unwrap().is_empty());
    }
}
