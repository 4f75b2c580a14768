//! Letters that wait in the database, and what became of those before.
//!
//! A letter is put there in the transaction of what it is about, under a name of its own: the
//! same name again adds nothing. What it says is forgotten as soon as the server has taken
//! it, or [`RETRIED_DAYS`] after it was refused; that there was one is known for [`KEPT_DAYS`].

use sekisho_domain::{RecordId, UnixMillis};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::address::{Address, NotAnAddress};
use super::letter::Letter;
use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError};

/// How long it is known that there was a letter.
pub const KEPT_DAYS: u64 = 90;

/// How long a letter that was refused or given up can be tried again.
pub const RETRIED_DAYS: u64 = 7;

/// Milliseconds of a day.
pub(super) const DAY: u64 = 24 * 3600 * 1000;

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

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not been taken yet.
    Waiting,
    /// The server has taken it.
    Sent,
    /// The server takes it never.
    Refused,
    /// It was tried for as many days as the policy says.
    GivenUp,
}

impl State {
    const ALL: [Self; 4] = [Self::Waiting, Self::Sent, Self::Refused, Self::GivenUp];

    /// Its name in the API and in results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
        }
    }

    const fn number(self) -> i64 {
        match self {
            Self::Waiting => 0,
            Self::Sent => 1,
            Self::Refused => 2,
            Self::GivenUp => 3,
        }
    }

    fn of(number: i64) -> Self {
        let found = Self::ALL.into_iter().find(|state| state.number() == number);
        found.unwrap_or(Self::GivenUp)
    }
}

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
    pub state: State,
    /// When it was put here.
    pub created_at: UnixMillis,
    /// When it is tried next; for one that waits.
    pub next_at: Option<UnixMillis>,
    /// When it was sent, refused or given up.
    pub ended_at: Option<UnixMillis>,
    /// How often it was tried.
    pub tries: u64,
    /// The server's last SMTP code.
    pub code: Option<u16>,
    /// Why it was not taken the last time.
    pub trouble: Option<String>,
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
    let row = sqlx::query("SELECT * FROM mail_outbox WHERE id = $1")
        .bind(id)
        .fetch_optional(store.pool())
        .await?;
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
    let sql = "SELECT * FROM mail_outbox WHERE ($1 < 0 OR state = $1) \
        AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3";
    let rows = sqlx::query(sql)
        .bind(state.map_or(-1, State::number))
        .bind(before.unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
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
    let sql =
        "SELECT * FROM mail_outbox WHERE SUBSTR(once, 1, CAST($2 AS INTEGER)) = $1 ORDER BY once";
    let rows = sqlx::query(sql)
        .bind(begins)
        .bind(i64::try_from(begins.chars().count()).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let named = |row: &AnyRow| Ok((row.try_get("once")?, entry(row)?));
    rows.iter().map(named).collect()
}

/// Whether a letter is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Yes, now.
    Waits,
    /// There is none.
    Unknown,
    /// The server has taken it.
    Sent,
    /// What it said is forgotten.
    Forgotten,
    /// What it said was never here.
    AtOnce,
}

/// Lets a letter be tried now, also one that was refused or given up.
///
/// # Errors
/// [`StoreError`].
pub async fn again(
    connection: &mut AnyConnection,
    id: &str,
    now: UnixMillis,
) -> Result<Again, StoreError> {
    let row = sqlx::query("SELECT state, at_once, body FROM mail_outbox WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else {
        return Ok(Again::Unknown);
    };
    let body: String = row.try_get("body")?;
    match State::of(row.try_get("state")?) {
        State::Sent => return Ok(Again::Sent),
        _ if row.try_get::<i64, _>("at_once")? != 0 => return Ok(Again::AtOnce),
        State::Refused | State::GivenUp if body.is_empty() => return Ok(Again::Forgotten),
        State::Waiting | State::Refused | State::GivenUp => {}
    }
    // For as many days as a new one.
    let sql = "UPDATE mail_outbox SET created_at = CASE state WHEN 0 THEN created_at ELSE $2 END, \
        state = 0, next_at = $2, ended_at = 0 WHERE id = $1";
    sqlx::query(sql)
        .bind(id)
        .bind(to_db(now.0))
        .execute(connection)
        .await?;
    Ok(Again::Waits)
}

/// How many letters are in this state.
///
/// # Errors
/// [`StoreError`].
pub async fn count(store: &Store, state: State) -> Result<u64, StoreError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) AS letters FROM mail_outbox WHERE state = $1";
    let row = sqlx::query(sql)
        .bind(state.number())
        .fetch_one(store.pool())
        .await?;
    Ok(from_db(row.try_get("letters")?))
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
    let sql = "SELECT * FROM mail_outbox WHERE state = 0 AND at_once = 0 AND next_at <= $1 \
        ORDER BY next_at, id LIMIT $2";
    let rows = sqlx::query(sql)
        .bind(to_db(now.0))
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
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

/// Why a letter was not taken: the SMTP code, where there is one, and a sentence.
#[derive(Clone, Debug, Default)]
pub(super) struct Why {
    pub(super) code: Option<u16>,
    pub(super) text: String,
}

/// The letter has ended so; what it said is forgotten if it was taken.
pub(super) async fn ended(
    store: &Store,
    id: &str,
    state: State,
    why: &Why,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let sql = "UPDATE mail_outbox SET state = $2, ended_at = $3, tries = tries + 1, \
        code = $4, trouble = $5, body = CASE $2 WHEN 1 THEN '' ELSE body END, \
        html = CASE $2 WHEN 1 THEN '' ELSE html END WHERE id = $1 AND state = 0";
    sqlx::query(sql)
        .bind(id)
        .bind(state.number())
        .bind(to_db(now.0))
        .bind(why.code.map_or(0, i64::from))
        .bind(&why.text)
        .execute(store.pool())
        .await?;
    Ok(())
}

/// The letter is tried again at `next`.
pub(super) async fn put_off(
    store: &Store,
    id: &str,
    why: &Why,
    next: UnixMillis,
) -> Result<(), StoreError> {
    let sql = "UPDATE mail_outbox SET next_at = $2, tries = tries + 1, code = $3, trouble = $4 \
        WHERE id = $1 AND state = 0";
    sqlx::query(sql)
        .bind(id)
        .bind(to_db(next.0))
        .bind(why.code.map_or(0, i64::from))
        .bind(&why.text)
        .execute(store.pool())
        .await?;
    Ok(())
}

/// Forgets letters that ended long ago.
pub(super) async fn forget(store: &Store, now: UnixMillis) -> Result<(), StoreError> {
    let oldest = now.0.saturating_sub(RETRIED_DAYS * DAY);
    let sql = "UPDATE mail_outbox SET body = '', html = '' \
        WHERE state <> 0 AND ended_at < $1 AND body <> ''";
    sqlx::query(sql)
        .bind(to_db(oldest))
        .execute(store.pool())
        .await?;
    let oldest = now.0.saturating_sub(KEPT_DAYS * DAY);
    // One that was handed over at once waits for ever, if nobody tries it any more.
    let sql = "DELETE FROM mail_outbox WHERE (state <> 0 AND ended_at < $1) \
        OR (at_once = 1 AND next_at < $1)";
    sqlx::query(sql)
        .bind(to_db(oldest))
        .execute(store.pool())
        .await?;
    Ok(())
}

fn entry(row: &AnyRow) -> Result<Entry, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let number = |column: &str| row.try_get::<i64, _>(column).map(from_db);
    let to = text("recipient")?.parse();
    let to = to.map_err(|error: NotAnAddress| sqlx::Error::Decode(error.into()))?;
    let state = State::of(row.try_get("state")?);
    let ended_at = number("ended_at")?;
    let next_at = UnixMillis(number("next_at")?);
    Ok(Entry {
        id: text("id")?,
        purpose: text("purpose")?,
        to,
        subject: text("subject")?,
        state,
        created_at: UnixMillis(number("created_at")?),
        next_at: (state == State::Waiting).then_some(next_at),
        ended_at: (ended_at > 0).then_some(UnixMillis(ended_at)),
        tries: number("tries")?,
        code: u16::try_from(number("code")?).ok().filter(|code| *code > 0),
        trouble: Some(text("trouble")?).filter(|trouble| !trouble.is_empty()),
    })
}
