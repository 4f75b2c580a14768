//! The last good signing keys of every issuer: the identity provider may be down for a day.

use sekisho_domain::{IssuerKey, KeyMaterial};
use sqlx::{Connection as _, Row as _};

use super::{Store, StoreError};

/// One row per key.
pub(crate) const DDL: &str = "
CREATE TABLE issuer_keys (
    issuer TEXT NOT NULL,
    kid TEXT NOT NULL,
    n {blob} NOT NULL,
    e {blob} NOT NULL,
    PRIMARY KEY (issuer, kid)
);
";

/// The keys of one issuer.
///
/// # Errors
/// [`StoreError`].
pub async fn load(store: &Store, issuer: &str) -> Result<Vec<IssuerKey>, StoreError> {
    let rows =
        sqlx::query("SELECT issuer, kid, n, e FROM issuer_keys WHERE issuer = $1 ORDER BY kid")
            .bind(issuer)
            .fetch_all(store.pool())
            .await?;
    let key = |row: &sqlx::any::AnyRow| -> Result<IssuerKey, StoreError> {
        Ok(IssuerKey {
            issuer: row.try_get("issuer")?,
            kid: row.try_get("kid")?,
            material: KeyMaterial::Rsa {
                n: row.try_get("n")?,
                e: row.try_get("e")?,
            },
            algorithm: None,
        })
    };
    rows.iter().map(key).collect()
}

/// Replaces the keys of one issuer.
///
/// # Errors
/// [`StoreError`].
pub async fn replace(store: &Store, issuer: &str, keys: &[IssuerKey]) -> Result<(), StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    sqlx::query("DELETE FROM issuer_keys WHERE issuer = $1")
        .bind(issuer)
        .execute(&mut *transaction)
        .await?;
    for key in keys {
        let KeyMaterial::Rsa { n, e } = &key.material else {
            continue;
        };
        sqlx::query("INSERT INTO issuer_keys (issuer, kid, n, e) VALUES ($1, $2, $3, $4)")
            .bind(issuer)
            .bind(&key.kid)
            .bind(n)
            .bind(e)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}
