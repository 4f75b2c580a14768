//! Browsers that people have registered for themselves.

use sekisho_domain::{RecordId, UnixMillis};
use serde_json::json;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use url::Url;

use crate::events::Author;
use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError, pending};

/// Most browsers of one person; one more takes the place of the one that was used least lately.
pub const MOST: u32 = 20;

/// `endpoint`: whoever has it may ask its push service; so it is in no answer and no log. `public_key`
/// and `auth`: what messages are encrypted for it with. `used_at`: when a message was taken last; 0:
/// never.
pub(crate) const DDL: &str = "
CREATE TABLE push_subscriptions (
    id TEXT NOT NULL PRIMARY KEY,
    person TEXT NOT NULL,
    endpoint TEXT NOT NULL UNIQUE,
    public_key {blob} NOT NULL,
    auth {blob} NOT NULL,
    label TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL
);
CREATE INDEX push_subscriptions_person ON push_subscriptions (person, id);
";

/// A browser of somebody.
#[derive(Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// Whose.
    pub person: String,
    /// Where its push service takes messages for it.
    pub endpoint: String,
    /// Its public key.
    pub public_key: Vec<u8>,
    /// Its authentication secret.
    pub auth: Vec<u8>,
    /// What its owner calls it.
    pub label: String,
    /// When it was registered.
    pub created_at: UnixMillis,
    /// When a message was taken for it last.
    pub used_at: Option<UnixMillis>,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without what is for the push service alone.
        f.debug_struct("Subscription")
            .field("id", &self.id)
            .field("person", &self.person)
            .finish_non_exhaustive()
    }
}

impl Subscription {
    /// The host of its push service.
    #[must_use]
    pub fn host(&self) -> String {
        let url = Url::parse(&self.endpoint).ok();
        let host = url.and_then(|url| url.host_str().map(str::to_owned));
        host.unwrap_or_default()
    }

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let text = |column: &str| row.try_get::<String, _>(column);
        let moment = |column: &str| row.try_get(column).map(|at| UnixMillis(from_db(at)));
        Ok(Self {
            id: text("id")?,
            person: text("person")?,
            endpoint: text("endpoint")?,
            public_key: row.try_get("public_key")?,
            auth: row.try_get("auth")?,
            label: text("label")?,
            created_at: moment("created_at")?,
            used_at: Some(moment("used_at")?).filter(|at| at.0 > 0),
        })
    }
}

/// What somebody registers.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Whose it is.
    pub person: &'a str,
    /// See [`Subscription`].
    pub endpoint: &'a str,
    /// See [`Subscription`].
    pub public_key: &'a [u8],
    /// See [`Subscription`].
    pub auth: &'a [u8],
    /// See [`Subscription`].
    pub label: &'a str,
    /// Random bytes, of which the rest of its id is.
    pub random: [u8; 10],
}

/// Registers a browser, and leaves the event of it. One that is registered is changed: a browser has
/// one owner, who is signed in there now. Whether it is new.
///
/// # Errors
/// [`StoreError`].
pub async fn register(
    store: &Store,
    wanted: &Wanted<'_>,
    author: &mut Author,
) -> Result<(Subscription, bool), StoreError> {
    let mut transaction = store.begin_writing().await?;
    let known = sqlx::query("SELECT * FROM push_subscriptions WHERE endpoint = $1")
        .bind(wanted.endpoint)
        .fetch_optional(&mut *transaction)
        .await?;
    let known = known.as_ref().map(Subscription::read).transpose()?;
    let known = match known {
        Some(known) if known.person == wanted.person => Some(known),
        Some(another) => {
            remove_in(
                &mut transaction,
                &another,
                "somebody else signed in there",
                author,
            )
            .await?;
            None
        }
        None => None,
    };
    let is_new = known.is_none();
    let random = RecordId::v7(author.at(), wanted.random).to_string();
    let subscription = Subscription {
        id: known.as_ref().map_or(random, |known| known.id.clone()),
        person: wanted.person.to_owned(),
        endpoint: wanted.endpoint.to_owned(),
        public_key: wanted.public_key.to_vec(),
        auth: wanted.auth.to_vec(),
        label: wanted.label.to_owned(),
        created_at: known.as_ref().map_or(author.at(), |known| known.created_at),
        used_at: known.as_ref().and_then(|known| known.used_at),
    };
    let sql = "INSERT INTO push_subscriptions \
        (id, person, endpoint, public_key, auth, label, created_at, used_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (id) DO UPDATE SET \
        public_key = excluded.public_key, auth = excluded.auth, label = excluded.label";
    sqlx::query(sql)
        .bind(&subscription.id)
        .bind(&subscription.person)
        .bind(&subscription.endpoint)
        .bind(&subscription.public_key)
        .bind(&subscription.auth)
        .bind(&subscription.label)
        .bind(to_db(subscription.created_at.0))
        .execute(&mut *transaction)
        .await?;
    if known.as_ref() != Some(&subscription) {
        let told = author.tell("push.subscribe", &subscription.id);
        let told = told.after(Some(state(&subscription)));
        pending::leave(&mut transaction, told).await?;
    }
    make_room(&mut transaction, wanted.person, author).await?;
    transaction.commit().await?;
    Ok((subscription, is_new))
}

async fn make_room(
    connection: &mut AnyConnection,
    person: &str,
    author: &mut Author,
) -> Result<(), StoreError> {
    let sql = "SELECT * FROM push_subscriptions WHERE person = $1 \
        ORDER BY CASE WHEN used_at > created_at THEN used_at ELSE created_at END DESC, id DESC";
    let rows = sqlx::query(sql)
        .bind(person)
        .fetch_all(&mut *connection)
        .await?;
    let most = usize::try_from(MOST).unwrap_or(usize::MAX);
    for row in rows.iter().skip(most) {
        let oldest = Subscription::read(row)?;
        remove_in(connection, &oldest, "its owner has too many", author).await?;
    }
    Ok(())
}

/// What is on record of one: neither where it is nor what it is called.
fn state(subscription: &Subscription) -> serde_json::Value {
    json!({"person": subscription.person, "push_service": subscription.host()})
}

/// Somebody's, in the order in which they were registered.
///
/// # Errors
/// [`StoreError`].
pub async fn of(store: &Store, person: &str) -> Result<Vec<Subscription>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    of_in(&mut connection, person).await
}

/// As [`of`], within a transaction.
///
/// # Errors
/// [`StoreError`].
pub async fn of_in(
    connection: &mut AnyConnection,
    person: &str,
) -> Result<Vec<Subscription>, StoreError> {
    let rows = sqlx::query("SELECT * FROM push_subscriptions WHERE person = $1 ORDER BY id")
        .bind(person)
        .fetch_all(connection)
        .await?;
    rows.iter().map(Subscription::read).collect()
}

/// One.
///
/// # Errors
/// [`StoreError`].
pub async fn find(store: &Store, id: &str) -> Result<Option<Subscription>, StoreError> {
    let row = sqlx::query("SELECT * FROM push_subscriptions WHERE id = $1")
        .bind(id)
        .fetch_optional(store.pool())
        .await?;
    row.as_ref().map(Subscription::read).transpose()
}

/// Takes a browser of somebody away, and leaves the event of it; whether there was one. `why`: for
/// the record.
///
/// # Errors
/// [`StoreError`].
pub async fn remove(
    store: &Store,
    person: &str,
    id: &str,
    why: &str,
    author: &mut Author,
) -> Result<bool, StoreError> {
    let mut transaction = store.begin_writing().await?;
    let row = sqlx::query("SELECT * FROM push_subscriptions WHERE id = $1 AND person = $2")
        .bind(id)
        .bind(person)
        .fetch_optional(&mut *transaction)
        .await?;
    let Some(row) = row else {
        return Ok(false);
    };
    remove_in(&mut transaction, &Subscription::read(&row)?, why, author).await?;
    transaction.commit().await?;
    Ok(true)
}

async fn remove_in(
    connection: &mut AnyConnection,
    subscription: &Subscription,
    why: &str,
    author: &mut Author,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM push_subscriptions WHERE id = $1")
        .bind(&subscription.id)
        .execute(&mut *connection)
        .await?;
    let told = author.tell("push.unsubscribe", &subscription.id);
    let told = told.before(Some(state(subscription))).detail(why);
    pending::leave(connection, told).await
}

/// A message was taken for it.
pub(super) async fn used(store: &Store, id: &str, now: UnixMillis) -> Result<(), StoreError> {
    sqlx::query("UPDATE push_subscriptions SET used_at = $2 WHERE id = $1")
        .bind(id)
        .bind(to_db(now.0))
        .execute(store.pool())
        .await?;
    Ok(())
}
