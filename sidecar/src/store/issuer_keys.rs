//! The last good signing keys of every issuer: the identity provider may be down for a day.

use sekisho_domain::{IssuerKey, KeyMaterial, SigningAlgorithm};
use sqlx::any::AnyRow;
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

/// Version 2: keys of P-256 have `x` and `y`, and empty `n` and `e`; `alg` is empty where the
/// issuer does not say.
pub(crate) const DDL_2: &str = "
ALTER TABLE issuer_keys ADD COLUMN x {blob};
ALTER TABLE issuer_keys ADD COLUMN y {blob};
ALTER TABLE issuer_keys ADD COLUMN alg TEXT NOT NULL DEFAULT '';
";

/// The keys of one issuer, by `kid`.
///
/// # Errors
/// [`StoreError`].
pub async fn load(store: &Store, issuer: &str) -> Result<Vec<IssuerKey>, StoreError> {
    let rows = sqlx::query("SELECT * FROM issuer_keys WHERE issuer = $1")
        .bind(issuer)
        .fetch_all(store.pool())
        .await?;
    let mut keys = rows.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    // Databases differ in how they sort texts.
    keys.sort_by(|a, b| a.kid.cmp(&b.kid));
    Ok(keys)
}

fn key(row: &AnyRow) -> Result<IssuerKey, StoreError> {
    let point: (Option<Vec<u8>>, Option<Vec<u8>>) = (row.try_get("x")?, row.try_get("y")?);
    let material = match point {
        (Some(x), Some(y)) => KeyMaterial::P256 { x, y },
        _ => KeyMaterial::Rsa {
            n: row.try_get("n")?,
            e: row.try_get("e")?,
        },
    };
    let algorithm: String = row.try_get("alg")?;
    Ok(IssuerKey {
        issuer: row.try_get("issuer")?,
        kid: row.try_get("kid")?,
        material,
        algorithm: SigningAlgorithm::parse(&algorithm),
    })
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
    let sql = "INSERT INTO issuer_keys (issuer, kid, n, e, x, y, alg) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    for key in keys {
        let (n, e, x, y) = match key.material.clone() {
            KeyMaterial::Rsa { n, e } => (n, e, None, None),
            KeyMaterial::P256 { x, y } => (Vec::new(), Vec::new(), Some(x), Some(y)),
        };
        sqlx::query(sql)
            .bind(issuer)
            .bind(&key.kid)
            .bind(n)
            .bind(e)
            .bind(x)
            .bind(y)
            .bind(key.algorithm.map_or("", SigningAlgorithm::as_str))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_set_of_both_kinds_is_read_as_it_was_stored() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("d.db").display());
        let store = Store::open(&url).await.unwrap();
        let key = |kid: &str, material, algorithm| IssuerKey {
            issuer: "i".into(),
            kid: kid.into(),
            material,
            algorithm,
        };
        let (n, e) = (vec![5; 256], vec![1, 0, 1]);
        let (x, y) = (vec![7; 32], vec![8; 32]);
        let es256 = Some(SigningAlgorithm::Es256);
        let keys = vec![
            key("B", KeyMaterial::Rsa { n, e }, None),
            key("a", KeyMaterial::P256 { x, y }, es256),
        ];
        replace(&store, "i", &keys[..1]).await.unwrap();
        replace(&store, "i", &keys).await.unwrap();
        assert_eq!(load(&store, "i").await.unwrap(), keys);
        assert!(load(&store, "j").await.unwrap().is_empty());
    }
}
