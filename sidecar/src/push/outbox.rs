//! Messages that wait in the database, and what became of those before.
//!
//! As letters do in the outbox of mail: put there in the transaction of what they are about, under
//! a name of their own.

use sekisho_domain::{RecordId, UnixMillis};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use crate::outbox::Outbox;
pub use crate::outbox::{Again, Life, State};
use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError};

/// `way`: `browser` or `webhook`; `person`: whose browser; `target`: the id of the subscription, or
/// the webhook's name. `state`: see [`State`]. `status`: the last HTTP status; 0: none.
pub(crate) const DDL: &str = "
CREATE TABLE push_outbox (
    id TEXT NOT NULL PRIMARY KEY,
    once TEXT NOT NULL UNIQUE,
    way TEXT NOT NULL,
    person TEXT NOT NULL,
    target TEXT NOT NULL,
    title TEXT NOT NULL,
    content TEXT NOT NULL,
    urgency TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    state BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    status BIGINT NOT NULL,
    trouble TEXT NOT NULL
);
CREATE INDEX push_outbox_next ON push_outbox (state, next_at);
CREATE INDEX push_outbox_ended ON push_outbox (ended_at);
";

/// Messages have no codes but those of HTTP.
pub(crate) static MESSAGES: Outbox = Outbox {
    table: "push_outbox",
    code: "status",
    says: &["content"],
    at_once: None,
    expires: Some("expires_at"),
};

/// Which way a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// To a browser, by the id of its subscription.
    Browser {
        /// Whose.
        person: String,
        /// Of which subscription.
        subscription: String,
    },
    /// To the webhook of this name.
    Webhook(String),
}

impl Way {
    const fn parts(&self) -> (&'static str, &str, &str) {
        match self {
            Self::Browser {
                person,
                subscription,
            } => ("browser", person.as_str(), subscription.as_str()),
            Self::Webhook(name) => ("webhook", "", name.as_str()),
        }
    }
}

/// A message that is to be put into the outbox.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The name of what it is about.
    pub once: &'a str,
    /// Which way.
    pub way: &'a Way,
    /// Its title.
    pub title: &'a str,
    /// All of it: what is encrypted or posted.
    pub content: &'a str,
    /// How much it matters (RFC 8030, section 5.3).
    pub urgency: &'a str,
    /// From when on nobody wants it any more.
    pub expires_at: UnixMillis,
    /// When.
    pub at: UnixMillis,
    /// Random bytes, of which the rest of its id is.
    pub random: [u8; 10],
}

/// What is known of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// Which way it goes.
    pub way: Way,
    /// Its title.
    pub title: String,
    /// From when on nobody wants it any more.
    pub expires_at: UnixMillis,
    /// What became of it.
    pub life: Life,
}

/// Puts a message into the outbox; one of this name is there already: nothing is done.
///
/// # Errors
/// [`StoreError`].
pub async fn put(connection: &mut AnyConnection, order: &Order<'_>) -> Result<(), StoreError> {
    let (way, person, target) = order.way.parts();
    let sql = "INSERT INTO push_outbox (id, once, way, person, target, title, content, urgency, \
        expires_at, state, created_at, next_at, ended_at, tries, status, trouble) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $10, 0, 0, 0, '') \
        ON CONFLICT (once) DO NOTHING";
    sqlx::query(sql)
        .bind(RecordId::v7(order.at, order.random).to_string())
        .bind(order.once)
        .bind(way)
        .bind(person)
        .bind(target)
        .bind(order.title)
        .bind(order.content)
        .bind(order.urgency)
        .bind(to_db(order.expires_at.0))
        .bind(to_db(order.at.0))
        .execute(connection)
        .await?;
    Ok(())
}

/// One message.
///
/// # Errors
/// [`StoreError`].
pub async fn find(store: &Store, id: &str) -> Result<Option<Entry>, StoreError> {
    let row = MESSAGES.find(store, id).await?;
    row.as_ref().map(entry).transpose()
}

/// Messages, the latest first, before the id `before`, at most `limit`; `state`: only those.
///
/// # Errors
/// [`StoreError`].
pub async fn list(
    store: &Store,
    state: Option<State>,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    let rows = MESSAGES.list(store, state, before, limit).await?;
    rows.iter().map(entry).collect()
}

/// Messages whose names begin so, with their names.
///
/// # Errors
/// [`StoreError`].
pub async fn family_in(
    connection: &mut AnyConnection,
    begins: &str,
) -> Result<Vec<(String, Entry)>, StoreError> {
    let rows = MESSAGES.family_in(connection, begins).await?;
    let named = |row: &AnyRow| Ok((row.try_get("once")?, entry(row)?));
    rows.iter().map(named).collect()
}

/// Lets a message be tried now, also one that was refused or given up: for as long as it was to be
/// tried at first.
///
/// # Errors
/// [`StoreError`].
pub async fn again(
    connection: &mut AnyConnection,
    id: &str,
    now: UnixMillis,
) -> Result<Again, StoreError> {
    MESSAGES.again(connection, id, now).await
}

/// A message whose turn it is.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) id: String,
    pub(super) way: Way,
    pub(super) content: String,
    pub(super) urgency: String,
    pub(super) expires_at: UnixMillis,
    pub(super) tries: u64,
}

/// Messages whose turn it is, at most `limit`.
pub(super) async fn due(
    store: &Store,
    now: UnixMillis,
    limit: u32,
) -> Result<Vec<Due>, StoreError> {
    let rows = MESSAGES.due(store, now, limit).await?;
    let read = |row: &AnyRow| {
        let text = |column: &str| row.try_get::<String, _>(column);
        Ok(Due {
            id: text("id")?,
            way: way(row)?,
            content: text("content")?,
            urgency: text("urgency")?,
            expires_at: UnixMillis(from_db(row.try_get("expires_at")?)),
            tries: from_db(row.try_get("tries")?),
        })
    };
    rows.iter().map(read).collect()
}

fn way(row: &AnyRow) -> Result<Way, sqlx::Error> {
    let target = row.try_get("target")?;
    Ok(match row.try_get::<String, _>("way")?.as_str() {
        "webhook" => Way::Webhook(target),
        _ => Way::Browser {
            person: row.try_get("person")?,
            subscription: target,
        },
    })
}

fn entry(row: &AnyRow) -> Result<Entry, StoreError> {
    Ok(Entry {
        id: row.try_get("id")?,
        way: way(row)?,
        title: row.try_get("title")?,
        expires_at: UnixMillis(from_db(row.try_get("expires_at")?)),
        life: MESSAGES.life(row)?,
    })
}
