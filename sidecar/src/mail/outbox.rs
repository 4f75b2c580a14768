//! Letters that wait in the database, and what became of those before.
//!
//! A letter is put there in the transaction of what it is about, under a name of its own: the
//! same name again adds nothing.

use sekisho_domain::{RecordId, UnixMillis};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::address::{Address, NotAnAddress};
use super::letter::Letter;
use crate::outbox::Outbox;
pub use crate::outbox::{Again, Life, State};
use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError};

/// `state`: 0 waiting, 1 sent, 2 refused for good, 3 given up. `once`: the name under which it
/// was put. `code`: the server's last SMTP code; 0: none. Times in Unix milliseconds.
pub(crate) const DDL: &str = "
CREATE TABLE mail_outbox (
    id TEXT NOT NULL PRIMARY KEY,
    once TEXT NOT NULL UNIQUE,
    purpose TEXT NOT NULL,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    html TEXT NOT NULL,
    state BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    code BIGINT NOT NULL,
    trouble TEXT NOT NULL
);
CREATE INDEX mail_outbox_next ON mail_outbox (state, next_at);
CREATE INDEX mail_outbox_ended ON mail_outbox (ended_at);
";

/// `at_once`: 1: whoever it is about hands it over, again and again; what it says is not here.
pub(crate) const DDL_12: &str = "
ALTER TABLE mail_outbox ADD COLUMN at_once BIGINT NOT NULL DEFAULT 0;
";

/// Letters have no codes but those of SMTP.
pub(crate) static LETTERS: Outbox = Outbox {
    table: "mail_outbox",
    code: "code",
    says: &["body", "html"],
    at_once: Some("at_once"),
    expires: None,
};

/// A letter that is to be put into the outbox.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The name of what it is about, such as `budget-alert/sales-yen/2026-11/80/taro@...`.
    pub once: &'a str,
    /// What kind of letter it is: the name of its template.
    pub purpose: &'a str,
    /// The letter.
    pub letter: &'a Letter,
    /// When.
    pub at: UnixMillis,
    /// Random bytes, of which the rest of its id is.
    pub random: [u8; 10],
}

/// What is known of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// What kind of letter it is.
    pub purpose: String,
    /// To whom.
    pub to: Address,
    /// Its subject.
    pub subject: String,
    /// What became of it.
    pub life: Life,
}

/// Puts a letter into the outbox, within the transaction of what it is about; its id, which
/// sorts by time. `None`: there is one of this name already, and this one is not put there.
///
/// # Errors
/// [`StoreError`].
pub async fn put(
    connection: &mut AnyConnection,
    order: &Order<'_>,
) -> Result<Option<String>, StoreError> {
    let letter = order.letter;
    let id = RecordId::v7(order.at, order.random).to_string();
    let sql = "INSERT INTO mail_outbox (id, once, purpose, recipient, subject, body, html, state, \
        created_at, next_at, ended_at, tries, code, trouble) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $8, 0, 0, 0, '') ON CONFLICT (once) DO NOTHING";
    let done = sqlx::query(sql)
        .bind(&id)
        .bind(order.once)
        .bind(order.purpose)
        .bind(letter.to.plain())
        .bind(&letter.subject)
        .bind(&letter.text)
        .bind(letter.html.as_deref().unwrap_or_default())
        .bind(to_db(order.at.0))
        .execute(connection)
        .await?;
    Ok((done.rows_affected() > 0).then_some(id))
}

/// A letter that is about to be handed over at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    /// Its id.
    pub(super) id: String,
    /// When it was handed over first.
    pub(super) since: UnixMillis,
    /// How often it was before this time.
    pub(super) tries: u64,
}

/// Notes that a letter is about to be handed over, but nothing of what it says. One of this
/// name that has ended begins anew.
pub(super) async fn note(store: &Store, order: &Order<'_>) -> Result<Noted, StoreError> {
    let letter = order.letter;
    let id = RecordId::v7(order.at, order.random).to_string();
    let sql = "INSERT INTO mail_outbox (id, once, purpose, recipient, subject, body, html, state, \
        created_at, next_at, ended_at, tries, code, trouble, at_once) \
        VALUES ($1, $2, $3, $4, $5, '', '', 0, $6, $6, 0, 0, 0, '', 1) \
        ON CONFLICT (once) DO UPDATE SET recipient = excluded.recipient, \
        purpose = excluded.purpose, subject = excluded.subject, next_at = excluded.next_at, \
        created_at = CASE mail_outbox.state WHEN 0 THEN mail_outbox.created_at \
            ELSE excluded.created_at END, \
        tries = CASE mail_outbox.state WHEN 0 THEN mail_outbox.tries ELSE 0 END, \
        ended_at = 0, state = 0 RETURNING id, created_at, tries";
    let row = sqlx::query(sql)
        .bind(&id)
        .bind(order.once)
        .bind(order.purpose)
        .bind(letter.to.plain())
        .bind(&letter.subject)
        .bind(to_db(order.at.0))
        .fetch_one(store.pool())
        .await?;
    Ok(Noted {
        id: row.try_get("id")?,
        since: UnixMillis(from_db(row.try_get("created_at")?)),
        tries: from_db(row.try_get("tries")?),
    })
}

/// One letter.
///
/// # Errors
/// [`StoreError`].
pub async fn find(store: &Store, id: &str) -> Result<Option<Entry>, StoreError> {
    let row = LETTERS.find(store, id).await?;
    row.as_ref().map(entry).transpose()
}

/// The letter that was put here under this name.
///
/// # Errors
/// [`StoreError`].
pub async fn find_by_name(store: &Store, once: &str) -> Result<Option<Entry>, StoreError> {
    let row = sqlx::query("SELECT * FROM mail_outbox WHERE once = $1")
        .bind(once)
        .fetch_optional(store.pool())
        .await?;
    row.as_ref().map(entry).transpose()
}

/// Letters, the latest first, before the id `before`, at most `limit`; `state`: only those.
///
/// # Errors
/// [`StoreError`].
pub async fn list(
    store: &Store,
    state: Option<State>,
    before: Option<&str>,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    let rows = LETTERS.list(store, state, before, limit).await?;
    rows.iter().map(entry).collect()
}

/// Letters whose names begin so, with their names, oldest first.
///
/// # Errors
/// [`StoreError`].
pub async fn family(store: &Store, begins: &str) -> Result<Vec<(String, Entry)>, StoreError> {
    let mut connection = store.pool().acquire().await?;
    family_in(&mut connection, begins).await
}

/// As [`family`], within a transaction.
///
/// # Errors
/// [`StoreError`].
pub async fn family_in(
    connection: &mut AnyConnection,
    begins: &str,
) -> Result<Vec<(String, Entry)>, StoreError> {
    let rows = LETTERS.family_in(connection, begins).await?;
    let named = |row: &AnyRow| Ok((row.try_get("once")?, entry(row)?));
    rows.iter().map(named).collect()
}

/// Lets a letter be tried now, also one that was refused or given up: for as many days as a new
/// one.
///
/// # Errors
/// [`StoreError`].
pub async fn again(
    connection: &mut AnyConnection,
    id: &str,
    now: UnixMillis,
) -> Result<Again, StoreError> {
    LETTERS.again(connection, id, now).await
}

/// How many letters are in this state.
///
/// # Errors
/// [`StoreError`].
pub async fn count(store: &Store, state: State) -> Result<u64, StoreError> {
    LETTERS.count(store, state).await
}

/// A letter whose turn it is.
pub(super) struct Due {
    pub(super) id: String,
    pub(super) created_at: UnixMillis,
    pub(super) tries: u64,
    pub(super) letter: Result<Letter, NotAnAddress>,
}

/// Letters whose turn it is, at most `limit`.
pub(super) async fn due(
    store: &Store,
    now: UnixMillis,
    limit: u32,
) -> Result<Vec<Due>, StoreError> {
    let rows = LETTERS.due(store, now, limit).await?;
    rows.iter().map(read_due).collect()
}

fn read_due(row: &AnyRow) -> Result<Due, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let html = Some(text("html")?).filter(|html| !html.is_empty());
    let (subject, body) = (text("subject")?, text("body")?);
    let letter = text("recipient")?.parse().map(|to| Letter {
        to,
        subject,
        text: body,
        html,
    });
    Ok(Due {
        id: text("id")?,
        created_at: UnixMillis(from_db(row.try_get("created_at")?)),
        tries: from_db(row.try_get("tries")?),
        letter,
    })
}

fn entry(row: &AnyRow) -> Result<Entry, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let to = text("recipient")?.parse();
    let to = to.map_err(|error: NotAnAddress| sqlx::Error::Decode(error.into()))?;
    Ok(Entry {
        id: text("id")?,
        purpose: text("purpose")?,
        to,
        subject: text("subject")?,
        life: LETTERS.life(row)?,
    })
}
