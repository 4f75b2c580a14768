//! Messages that wait in the database, and what became of those before.
//!
//! As letters do in the outbox of mail: put there in the transaction of what they are about, under
//! a name of their own; what one says is forgotten as soon as it was taken, or [`RETRIED_DAYS`] after
//! it was not.

use sekisho_domain::{RecordId, UnixMillis};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError};

/// How long it is known that there was a message.
pub const KEPT_DAYS: u64 = 90;
/// How long a message that was refused or given up can be tried again.
pub const RETRIED_DAYS: u64 = 7;

/// Milliseconds of a day.
pub(super) const DAY: u64 = 24 * 3600 * 1000;

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

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not been taken yet.
    Waiting,
    /// It was taken.
    Sent,
    /// It is taken never.
    Refused,
    /// It was out of date before it was taken.
    GivenUp,
    /// There is no such browser any longer.
    Gone,
}

impl State {
    const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Sent,
        Self::Refused,
        Self::GivenUp,
        Self::Gone,
    ];

    const fn number(self) -> i64 {
        match self {
            Self::Waiting => 0,
            Self::Sent => 1,
            Self::Refused => 2,
            Self::GivenUp => 3,
            Self::Gone => 4,
        }
    }

    fn of(number: i64) -> Self {
        let found = Self::ALL.into_iter().find(|state| state.number() == number);
        found.unwrap_or(Self::GivenUp)
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
    /// What became of it.
    pub state: State,
    /// When it was put here.
    pub created_at: UnixMillis,
    /// When it is tried next; for one that waits.
    pub next_at: Option<UnixMillis>,
    /// From when on nobody wants it any more.
    pub expires_at: UnixMillis,
    /// When it was taken, refused or given up.
    pub ended_at: Option<UnixMillis>,
    /// How often it was tried.
    pub tries: u64,
    /// The last HTTP status.
    pub status: Option<u16>,
    /// Why it was not taken the last time.
    pub trouble: Option<String>,
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
    let row = sqlx::query("SELECT * FROM push_outbox WHERE id = $1")
        .bind(id)
        .fetch_optional(store.pool())
        .await?;
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
    let sql = "SELECT * FROM push_outbox WHERE ($1 < 0 OR state = $1) \
        AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3";
    let rows = sqlx::query(sql)
        .bind(state.map_or(-1, State::number))
        .bind(before.unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
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
    let sql =
        "SELECT * FROM push_outbox WHERE SUBSTR(once, 1, CAST($2 AS INTEGER)) = $1 ORDER BY once";
    let rows = sqlx::query(sql)
        .bind(begins)
        .bind(i64::try_from(begins.chars().count()).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let named = |row: &AnyRow| Ok((row.try_get("once")?, entry(row)?));
    rows.iter().map(named).collect()
}

/// Whether a message is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Yes, now.
    Waits,
    /// There is none.
    Unknown,
    /// It was taken.
    Sent,
    /// There is no such browser any longer.
    Gone,
    /// What it said is forgotten.
    Forgotten,
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
    let row = sqlx::query("SELECT state, content FROM push_outbox WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else {
        return Ok(Again::Unknown);
    };
    let content: String = row.try_get("content")?;
    match State::of(row.try_get("state")?) {
        State::Sent => return Ok(Again::Sent),
        State::Gone => return Ok(Again::Gone),
        State::Refused | State::GivenUp if content.is_empty() => return Ok(Again::Forgotten),
        State::Waiting | State::Refused | State::GivenUp => {}
    }
    let sql = "UPDATE push_outbox SET \
        expires_at = CASE state WHEN 0 THEN expires_at ELSE expires_at - created_at + $2 END, \
        created_at = CASE state WHEN 0 THEN created_at ELSE $2 END, \
        state = 0, next_at = $2, ended_at = 0 WHERE id = $1";
    sqlx::query(sql)
        .bind(id)
        .bind(to_db(now.0))
        .execute(connection)
        .await?;
    Ok(Again::Waits)
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
    let sql = "SELECT * FROM push_outbox WHERE state = 0 AND next_at <= $1 \
        ORDER BY next_at, id LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(to_db(now.0))
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
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

/// What was answered, where anything was, and a sentence.
#[derive(Clone, Debug, Default)]
pub(super) struct Why {
    pub(super) status: Option<u16>,
    pub(super) text: String,
}

/// The message has ended so; what it said is forgotten unless it can be tried again.
pub(super) async fn ended(
    store: &Store,
    id: &str,
    state: State,
    why: &Why,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let sql = "UPDATE push_outbox SET state = $2, ended_at = $3, tries = tries + 1, status = $4, \
        trouble = $5, content = CASE WHEN $2 IN (1, 4) THEN '' ELSE content END \
        WHERE id = $1 AND state = 0";
    sqlx::query(sql)
        .bind(id)
        .bind(state.number())
        .bind(to_db(now.0))
        .bind(why.status.map_or(0, i64::from))
        .bind(&why.text)
        .execute(store.pool())
        .await?;
    Ok(())
}

/// The message is tried again at `next`.
pub(super) async fn put_off(
    store: &Store,
    id: &str,
    why: &Why,
    next: UnixMillis,
) -> Result<(), StoreError> {
    let sql = "UPDATE push_outbox SET next_at = $2, tries = tries + 1, status = $3, trouble = $4 \
        WHERE id = $1 AND state = 0";
    sqlx::query(sql)
        .bind(id)
        .bind(to_db(next.0))
        .bind(why.status.map_or(0, i64::from))
        .bind(&why.text)
        .execute(store.pool())
        .await?;
    Ok(())
}

/// Forgets messages that ended long ago.
pub(super) async fn forget(store: &Store, now: UnixMillis) -> Result<(), StoreError> {
    let before = |days: u64| to_db(now.0.saturating_sub(days * DAY));
    let sql = "UPDATE push_outbox SET content = '' \
        WHERE state <> 0 AND ended_at < $1 AND content <> ''";
    sqlx::query(sql)
        .bind(before(RETRIED_DAYS))
        .execute(store.pool())
        .await?;
    sqlx::query("DELETE FROM push_outbox WHERE state <> 0 AND ended_at < $1")
        .bind(before(KEPT_DAYS))
        .execute(store.pool())
        .await?;
    Ok(())
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
    let number = |column: &str| row.try_get::<i64, _>(column).map(from_db);
    let state = State::of(row.try_get("state")?);
    let ended_at = number("ended_at")?;
    let next_at = UnixMillis(number("next_at")?);
    let status = u16::try_from(number("status")?).unwrap_or(0);
    Ok(Entry {
        id: row.try_get("id")?,
        way: way(row)?,
        title: row.try_get("title")?,
        state,
        created_at: UnixMillis(number("created_at")?),
        next_at: (state == State::Waiting).then_some(next_at),
        expires_at: UnixMillis(number("expires_at")?),
        ended_at: (ended_at > 0).then_some(UnixMillis(ended_at)),
        tries: number("tries")?,
        status: (status > 0).then_some(status),
        trouble: Some(row.try_get("trouble")?).filter(|text: &String| !text.is_empty()),
    })
}
