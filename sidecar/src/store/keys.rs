//! Subscription keys: what may be stored of them.

use sekisho_domain::{DepartmentId, KeyId, Network, UnixMillis, UserId};
use sekisho_link::v1;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, Row as _};

use super::orders::{self, Once, Order};
use super::people::next_version;
use super::{Store, StoreError, pending};
use crate::events::Author;

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

/// Version 2: rotation, and what a key is bound to. Texts are empty and times 0 where there
/// is none.
pub(crate) const DDL_2: &str = "
ALTER TABLE api_keys ADD COLUMN user_id TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN networks TEXT NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN rotated BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN former_hash {blob};
ALTER TABLE api_keys ADD COLUMN former_until BIGINT NOT NULL DEFAULT 0;
";

const ADD: &str = "INSERT INTO api_keys (hash, name, department, user_id, scopes, networks, \
    created, expires, revoked, rotated, former_hash, former_until, version, id) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

const CHANGE: &str = "UPDATE api_keys SET hash = $1, name = $2, department = $3, user_id = $4, \
    scopes = $5, networks = $6, created = $7, expires = $8, revoked = $9, rotated = $10, \
    former_hash = $11, former_until = $12, version = $13 WHERE id = $14";

const ISSUED: &str = "apikey.issue";
const REVOKED: &str = "apikey.revoke";

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
    /// The person it was issued to.
    pub user: Option<UserId>,
    /// Names of the scopes that it grants.
    pub scopes: Vec<String>,
    /// Where it may be used from; empty: everywhere.
    pub networks: Vec<Network>,
    /// When it was issued.
    pub created: UnixMillis,
    /// From when on it is refused.
    pub expires: Option<UnixMillis>,
    /// When it was revoked.
    pub revoked: Option<UnixMillis>,
    /// When its secret was last replaced.
    pub rotated: Option<UnixMillis>,
    /// The secret before that.
    pub former: Option<Former>,
    /// The version of the directory at which it was changed last.
    pub version: i64,
}

/// A secret that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// Its hash, as [`StoredKey::hash`].
    pub hash: Vec<u8>,
    /// From when on it is refused.
    pub until: UnixMillis,
}

impl StoredKey {
    /// What may be on record of it: everything but the hashes of its secrets.
    #[must_use]
    pub fn state(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "name": self.name,
            "department": self.department.as_str(),
            "user": self.user.as_ref().map(UserId::as_str),
            "scopes": self.scopes,
            "networks": self.networks.iter().map(Network::to_string).collect::<Vec<_>>(),
            "created": self.created.0,
            "expires": self.expires.map(|moment| moment.0),
            "revoked": self.revoked.map(|moment| moment.0),
            "rotated": self.rotated.map(|moment| moment.0),
            "former_secret_until": self.former.as_ref().map(|former| former.until.0),
            "version": self.version,
        })
    }

    /// What a filter needs to know.
    #[must_use]
    pub fn to_link(&self) -> v1::ApiKey {
        let former = self.former.as_ref();
        v1::ApiKey {
            id: self.id.0.clone(),
            hash: self.hash.clone().into(),
            department: self.department.0.clone(),
            scopes: self.scopes.clone(),
            expires: self.expires.map_or(0, |moment| moment.0),
            revoked: self.revoked.is_some(),
            user: self.user.clone().map(|user| user.0).unwrap_or_default(),
            networks: self.networks.iter().map(Network::to_string).collect(),
            former_hash: former
                .map(|former| former.hash.clone().into())
                .unwrap_or_default(),
            former_until: former.map_or(0, |former| former.until.0),
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

/// One key.
///
/// # Errors
/// [`StoreError`].
pub async fn find(store: &Store, id: &str) -> Result<Option<StoredKey>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    find_on(&mut connection, id).await
}

/// Keys in the order of their ids, after the id `after`, at most `limit`; of one department
/// or person alone, where one is named.
///
/// # Errors
/// [`StoreError`].
pub async fn list(
    store: &Store,
    department: Option<&str>,
    user: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<StoredKey>, StoreError> {
    let sql = "SELECT * FROM api_keys WHERE id > $1 AND ($2 = '' OR department = $2) \
        AND ($3 = '' OR user_id = $3) ORDER BY id LIMIT $4";
    let rows = sqlx::query(sql)
        .bind(after)
        .bind(department.unwrap_or_default())
        .bind(user.unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
    rows.iter().map(key).collect()
}

/// Adds many keys, all or none.
///
/// # Errors
/// [`StoreError`].
pub async fn add_all(
    store: &Store,
    keys: &[StoredKey],
    author: &mut Author,
) -> Result<(), StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    let version = next_version(&mut transaction).await?;
    for key in keys {
        let key = StoredKey {
            version,
            ..key.clone()
        };
        write(&mut transaction, ADD, &key).await?;
        note(&mut transaction, author, ISSUED, None, &key).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Adds a key on behalf of `author`, unless the same order added one before.
///
/// # Errors
/// [`StoreError`].
pub async fn add_once(
    store: &Store,
    key: &StoredKey,
    once: Option<&Once>,
    author: &mut Author,
) -> Result<Order<StoredKey>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    // Taken first: in PostgreSQL it is the lock that lets one change in at a time.
    let version = next_version(&mut transaction).await?;
    if let Some(once) = once
        && let Some(order) = earlier(&mut transaction, once).await?
    {
        transaction.rollback().await?;
        return Ok(order);
    }
    let mut added = key.clone();
    added.version = version;
    write(&mut transaction, ADD, &added).await?;
    if let Some(once) = once {
        orders::note(&mut transaction, once, &added.id).await?;
    }
    note(&mut transaction, author, ISSUED, None, &added).await?;
    transaction.commit().await?;
    Ok(Order::New(added))
}

/// Decides on a key with nobody else changing it meanwhile, and saves what the decision
/// made of it. `None`: no such key. If the decision is an error, or the same order was
/// carried out before, nothing is changed. `event`: what the change is called on record.
///
/// # Errors
/// [`StoreError`]; the decision's own error is inside.
pub async fn change<E>(
    store: &Store,
    id: &str,
    once: Option<&Once>,
    (author, event): (&mut Author, &'static str),
    decide: impl FnOnce(&mut StoredKey) -> Result<(), E>,
) -> Result<Option<Result<Order<StoredKey>, E>>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    let mut transaction = connection
        .begin_with(store.dialect().begin_writing())
        .await?;
    let version = next_version(&mut transaction).await?;
    let Some(before) = find_on(&mut transaction, id).await? else {
        transaction.rollback().await?;
        return Ok(None);
    };
    if let Some(once) = once
        && let Some(order) = earlier(&mut transaction, once).await?
    {
        transaction.rollback().await?;
        return Ok(Some(Ok(order)));
    }
    let mut after = before.clone();
    let decided = decide(&mut after);
    if decided.is_err() || after == before {
        transaction.rollback().await?;
        return Ok(Some(decided.map(|()| Order::New(before))));
    }
    after.version = version;
    write(&mut transaction, CHANGE, &after).await?;
    if let Some(once) = once {
        orders::note(&mut transaction, once, &after.id).await?;
    }
    note(&mut transaction, author, event, Some(&before), &after).await?;
    transaction.commit().await?;
    Ok(Some(Ok(Order::New(after))))
}

/// Revokes a key; one that is revoked keeps the moment at which it was. `None`: no such key.
///
/// # Errors
/// [`StoreError`].
pub async fn revoke(
    store: &Store,
    id: &str,
    author: &mut Author,
) -> Result<Option<StoredKey>, StoreError> {
    let now = author.at();
    let revoke = |key: &mut StoredKey| {
        key.revoked.get_or_insert(now);
        Ok::<_, std::convert::Infallible>(())
    };
    let revoked = change(store, id, None, (author, REVOKED), revoke).await?;
    Ok(revoked.and_then(|done| match done {
        Ok(Order::New(key) | Order::Repeated { was: key, .. }) => Some(key),
        Ok(Order::Reused) => None,
        Err(never) => match never {},
    }))
}

async fn note(
    connection: &mut AnyConnection,
    author: &mut Author,
    event: &'static str,
    before: Option<&StoredKey>,
    after: &StoredKey,
) -> Result<(), StoreError> {
    let told = author.tell(event, after.id.as_str());
    let told = told.before(before.map(StoredKey::state));
    pending::leave(connection, told.after(Some(after.state()))).await
}

/// What an earlier order of the same name did.
async fn earlier(
    connection: &mut AnyConnection,
    once: &Once,
) -> Result<Option<Order<StoredKey>>, StoreError> {
    Ok(match orders::find(connection, once).await? {
        None => None,
        Some(Order::Repeated { was, salt }) => {
            let key = find_on(connection, was.as_str()).await?;
            key.map(|was| Order::Repeated { was, salt })
        }
        Some(Order::New(_) | Order::Reused) => Some(Order::Reused),
    })
}

async fn find_on(
    connection: &mut AnyConnection,
    id: &str,
) -> Result<Option<StoredKey>, StoreError> {
    let row = sqlx::query("SELECT * FROM api_keys WHERE id = $1")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(key).transpose()
}

async fn write(
    connection: &mut AnyConnection,
    sql: &'static str,
    key: &StoredKey,
) -> Result<(), StoreError> {
    let networks: Vec<String> = key.networks.iter().map(Network::to_string).collect();
    let former = key.former.as_ref();
    sqlx::query(sql)
        .bind(&key.hash)
        .bind(&key.name)
        .bind(key.department.as_str())
        .bind(key.user.as_ref().map_or("", UserId::as_str))
        .bind(key.scopes.join(" "))
        .bind(networks.join(" "))
        .bind(to_column(Some(key.created)))
        .bind(to_column(key.expires))
        .bind(to_column(key.revoked))
        .bind(to_column(key.rotated))
        .bind(former.map(|former| former.hash.clone()))
        .bind(to_column(former.map(|former| former.until)))
        .bind(key.version)
        .bind(key.id.as_str())
        .execute(connection)
        .await?;
    Ok(())
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
    let texts = |column: &str| -> Result<Vec<String>, sqlx::Error> {
        let texts: String = row.try_get(column)?;
        Ok(texts.split_whitespace().map(str::to_owned).collect())
    };
    // A network that cannot be read must not open the key to all networks.
    let networks = texts("networks")?.into_iter().map(|text| text.parse());
    let networks = networks
        .collect::<Result<_, _>>()
        .map_err(|error: sekisho_domain::NetworkError| sqlx::Error::Decode(error.into()))?;
    let user: String = row.try_get("user_id")?;
    let former_hash: Option<Vec<u8>> = row.try_get("former_hash")?;
    let former_until = from_column(row.try_get("former_until")?).unwrap_or_default();
    Ok(StoredKey {
        id: KeyId(row.try_get("id")?),
        hash: row.try_get("hash")?,
        name: row.try_get("name")?,
        department: DepartmentId(row.try_get("department")?),
        user: (!user.is_empty()).then_some(UserId(user)),
        scopes: texts("scopes")?,
        networks,
        created: from_column(row.try_get("created")?).unwrap_or_default(),
        expires: from_column(row.try_get("expires")?),
        revoked: from_column(row.try_get("revoked")?),
        rotated: from_column(row.try_get("rotated")?),
        former: former_hash.map(|hash| Former {
            hash,
            until: former_until,
        }),
        version: row.try_get("version")?,
    })
}
