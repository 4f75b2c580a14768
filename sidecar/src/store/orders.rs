//! Orders that are carried out once, however often they are sent: whoever did not hear the
//! answer sends the order again under the same `Idempotency-Key`.
//!
//! The secret of a key is shown in the answer to such an order, again to the same caller
//! under the same name, though it is stored nowhere: it follows from the installation's
//! pepper, which is not in the database, from the name, of which only a digest is, and from
//! a salt that is forgotten after a day.

use sekisho_domain::{KeyId, UnixMillis};
use sqlx::{AnyConnection, Row as _};

use super::StoreError;

/// How long an order is remembered.
const REMEMBERED_MILLIS: u64 = 24 * 3600 * 1000;

/// `name`: digest of caller and `Idempotency-Key`; `content`: digest of what was ordered.
pub(crate) const DDL: &str = "
CREATE TABLE key_orders (
    name {blob} NOT NULL PRIMARY KEY,
    content {blob} NOT NULL,
    api_key TEXT NOT NULL,
    salt {blob} NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX key_orders_at ON key_orders (at);
";

/// An order that is to be carried out once.
#[derive(Clone, Debug)]
pub struct Once {
    /// Digest of who orders and under which name.
    pub name: [u8; 32],
    /// Digest of what is ordered.
    pub content: [u8; 32],
    /// What the secret follows from.
    pub salt: [u8; 32],
    /// When.
    pub at: UnixMillis,
}

/// What becomes of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order<T> {
    /// It was carried out.
    New(T),
    /// It had been before.
    Repeated {
        /// What it was about.
        was: T,
        /// The salt of that time.
        salt: Vec<u8>,
    },
    /// Its name belongs to an order of something else.
    Reused,
}

/// The earlier order of this name, if it is still remembered.
pub(super) async fn find(
    connection: &mut AnyConnection,
    once: &Once,
) -> Result<Option<Order<KeyId>>, StoreError> {
    let oldest = once.at.0.saturating_sub(REMEMBERED_MILLIS);
    sqlx::query("DELETE FROM key_orders WHERE at < $1")
        .bind(super::figures::to_db(oldest))
        .execute(&mut *connection)
        .await?;
    let row = sqlx::query("SELECT content, api_key, salt FROM key_orders WHERE name = $1")
        .bind(once.name.to_vec())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let content: Vec<u8> = row.try_get("content")?;
    if content != once.content {
        return Ok(Some(Order::Reused));
    }
    Ok(Some(Order::Repeated {
        was: KeyId(row.try_get("api_key")?),
        salt: row.try_get("salt")?,
    }))
}

/// Remembers an order that is carried out in the same transaction.
pub(super) async fn note(
    connection: &mut AnyConnection,
    once: &Once,
    key: &KeyId,
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO key_orders (name, content, api_key, salt, at) VALUES ($1, $2, $3, $4, $5)";
    sqlx::query(sql)
        .bind(once.name.to_vec())
        .bind(once.content.to_vec())
        .bind(key.as_str())
        .bind(once.salt.to_vec())
        .bind(super::figures::to_db(once.at.0))
        .execute(connection)
        .await?;
    Ok(())
}
