//! Subscription keys: what may be stored of them.

use sekisho_domain::{DepartmentId, KeyId, UnixMillis};
use sekisho_link::v1;
use sqlx::any::AnyRow;
use sqlx::{Connection as _, Row as _};

use super::people::next_version;
use super::{Store, StoreError};

/// The secret itself is nowhere; its keyed hash is.
pub(crate) const DDL: &str = "
CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    hash {blob} NOT NULL,
    name TEXT NOT NULL,
    department TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    revoked BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX api_keys_version ON api_keys (version);
";

/// A subscription key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its public id.
    pub id: KeyId,
    /// HMAC-SHA-256 of the secret under the pepper.
    pub hash: Vec<u8>,
    /// What people call it.
    pub name: String,
    /// Who pays.
    pub department: DepartmentId,
    /// Names of the scopes that it grants.
    pub scopes: Vec<String>,
    /// When it was issued.
    pub created: UnixMillis,
    /// From when on it is refused.
    pub expires: Option<UnixMillis>,
    /// When it was revoked.
    pub revoked: Option<UnixMillis>,
}

impl StoredKey {
    /// What a filter needs to know.
    #[must_use]
    pub fn to_link(&self) -> v1::ApiKey {
        v1::ApiKey {
            id: self.id.0.clone(),
            hash: self.hash.clone().into(),
            department: self.department.0.clone(),
            scopes: self.scopes.clone(),
            expires: self.expires.map_or(0, |moment| moment.0),
            revoked: self.revoked.is_some(),
        }
    }
}

/// Whatever changed after this version of the directory; after -1: every key.
///
/// # Errors
/// [`StoreError`].
pub async fn changed_after(store: &Store, version: i64) -> Result<Vec<StoredKey>, StoreError> {
    let rows = sqlx::query("SELECT * FROM api_keys WHERE version > $1 ORDER BY id")
        .bind(version)
        .fetch_all(store.pool())
        .await?;
    rows.iter().map(key).collect()
}

/// Adds a key.
///
/// # Errors
/// [`StoreError`].
pub async fn add(store: &Store, key: &StoredKey) -> Result<(), StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    let version = next_version(&mut transaction).await?;
    sqlx::query(
        "INSERT INTO api_keys (id, hash, name, department, scopes, created, expires, revoked, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(key.id.as_str())
    .bind(&key.hash)
    .bind(&key.name)
    .bind(key.department.as_str())
    .bind(key.scopes.join(" "))
    .bind(to_column(Some(key.created)))
    .bind(to_column(key.expires))
    .bind(to_column(key.revoked))
    .bind(version)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Revokes a key; one that is revoked keeps the moment at which it was. `None`: no such key.
///
/// # Errors
/// [`StoreError`].
pub async fn revoke(
    store: &Store,
    id: &str,
    now: UnixMillis,
) -> Result<Option<StoredKey>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    let version = next_version(&mut transaction).await?;
    sqlx::query("UPDATE api_keys SET revoked = $1, version = $2 WHERE id = $3 AND revoked = 0")
        .bind(to_column(Some(now)))
        .bind(version)
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    let row = sqlx::query("SELECT * FROM api_keys WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await?;
    transaction.commit().await?;
    row.as_ref().map(key).transpose()
}

/// Times as the table has them: 0 is none.
fn to_column(moment: Option<UnixMillis>) -> i64 {
    moment.map_or(0, |moment| i64::try_from(moment.0).unwrap_or(i64::MAX))
}

fn from_column(column: i64) -> Option<UnixMillis> {
    u64::try_from(column)
        .ok()
        .filter(|millis| *millis != 0)
        .map(UnixMillis)
}

fn key(row: &AnyRow) -> Result<StoredKey, StoreError> {
    let scopes: String = row.try_get("scopes")?;
    Ok(StoredKey {
        id: KeyId(row.try_get("id")?),
        hash: row.try_get("hash")?,
        name: row.try_get("name")?,
        department: DepartmentId(row.try_get("department")?),
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        created: from_column(row.try_get("created")?).unwrap_or_default(),
        expires: from_column(row.try_get("expires")?),
        revoked: from_column(row.try_get("revoked")?),
    })
}
