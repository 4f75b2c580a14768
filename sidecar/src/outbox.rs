//! The life of what waits in the database to be brought to somebody: letters, pushed messages.
//!
//! Each kind has a table of its own. An entry is put there in the transaction of what it is about,
//! under a name of its own, and is put off until it has ended. What it says is forgotten as soon as
//! it was taken, or [`RETRIED_DAYS`] after it was not; that there was one is known for
//! [`KEPT_DAYS`].

use std::time::Duration;

use sekisho_domain::UnixMillis;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use crate::store::figures::{from_db, to_db};
use crate::store::{Store, StoreError};

/// How long it is known that there was an entry.
const KEPT_DAYS: u64 = 90;
/// How long an entry that was refused or given up can be tried again.
const RETRIED_DAYS: u64 = 7;

/// Milliseconds of a day.
pub(crate) const DAY: u64 = 24 * 3600 * 1000;
/// How often a table is looked at when nothing in it is due.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);
/// The first wait of an entry that is not taken now; it doubles up to [`LONGEST`]. Servers that
/// greylist take a letter after some minutes.
const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(2 * 3600);
/// How often old entries are forgotten, milliseconds.
const FORGET: u64 = 3600 * 1000;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not been taken yet.
    Waiting,
    /// It was taken.
    Sent,
    /// It is taken never.
    Refused,
    /// It was tried for as long as it was to be.
    GivenUp,
    /// Where it was to go there is nobody any longer. No letter is.
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

    /// Its name in the API and in results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
            Self::Gone => "gone",
        }
    }

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

/// What is known of every entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// What became of it.
    pub state: State,
    /// When it was put there.
    pub created_at: UnixMillis,
    /// When it is tried next; for one that waits.
    pub next_at: Option<UnixMillis>,
    /// When it ended, however.
    pub ended_at: Option<UnixMillis>,
    /// How often it was tried.
    pub tries: u64,
    /// The last code with which it was answered: of SMTP or HTTP.
    pub code: Option<u16>,
    /// Why it was not taken the last time.
    pub trouble: Option<String>,
}

/// What was answered, where anything was, and a sentence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Why {
    pub(crate) code: Option<u16>,
    pub(crate) text: String,
}

/// Whether an entry is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Yes, now.
    Waits,
    /// There is none.
    Unknown,
    /// It was taken.
    Sent,
    /// Where it was to go there is nobody any longer.
    Gone,
    /// What it said is forgotten.
    Forgotten,
    /// What it said was never there.
    AtOnce,
}

/// A table of entries. All have `id`, `once`, `state`, `created_at`, `next_at`, `ended_at`, `tries`
/// and `trouble`, times in Unix milliseconds, 0 for none.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Its name.
    pub(crate) table: &'static str,
    /// The column of the last code; 0: none.
    pub(crate) code: &'static str,
    /// The columns of what an entry says. The first is empty only once that is forgotten.
    pub(crate) says: &'static [&'static str],
    /// The column of those of which nothing is stored (1), because others bring them.
    pub(crate) at_once: Option<&'static str>,
    /// The column of when an entry is of no use any more, which moves when it begins anew.
    pub(crate) expires: Option<&'static str>,
}

impl Outbox {
    /// What is known of an entry.
    pub(crate) fn life(&self, row: &AnyRow) -> Result<Life, StoreError> {
        let number = |column: &str| row.try_get::<i64, _>(column).map(from_db);
        let state = State::of(row.try_get("state")?);
        let ended_at = number("ended_at")?;
        let next_at = UnixMillis(number("next_at")?);
        let code = u16::try_from(number(self.code)?).ok();
        Ok(Life {
            state,
            created_at: UnixMillis(number("created_at")?),
            next_at: (state == State::Waiting).then_some(next_at),
            ended_at: (ended_at > 0).then_some(UnixMillis(ended_at)),
            tries: number("tries")?,
            code: code.filter(|code| *code > 0),
            trouble: Some(row.try_get("trouble")?).filter(|text: &String| !text.is_empty()),
        })
    }

    /// One entry, by its id.
    pub(crate) async fn find(&self, store: &Store, id: &str) -> Result<Option<AnyRow>, StoreError> {
        let sql = format!("SELECT * FROM {} WHERE id = $1", self.table);
        let found = sqlx::query(AssertSqlSafe(sql)).bind(id);
        Ok(found.fetch_optional(store.pool()).await?)
    }

    /// Entries, the latest first, before the id `before`, at most `limit`; `state`: only those.
    pub(crate) async fn list(
        &self,
        store: &Store,
        state: Option<State>,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let sql = format!(
            "SELECT * FROM {} WHERE ($1 < 0 OR state = $1) AND ($2 = '' OR id < $2) \
             ORDER BY id DESC LIMIT $3",
            self.table
        );
        let found = sqlx::query(AssertSqlSafe(sql))
            .bind(state.map_or(-1, State::number))
            .bind(before.unwrap_or_default())
            .bind(i64::from(limit));
        Ok(found.fetch_all(store.pool()).await?)
    }

    /// Entries whose names begin so, by their names.
    pub(crate) async fn family_in(
        &self,
        connection: &mut AnyConnection,
        begins: &str,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let sql = format!(
            "SELECT * FROM {} WHERE SUBSTR(once, 1, CAST($2 AS INTEGER)) = $1 ORDER BY once",
            self.table
        );
        let found = sqlx::query(AssertSqlSafe(sql))
            .bind(begins)
            .bind(i64::try_from(begins.chars().count()).unwrap_or(i64::MAX));
        Ok(found.fetch_all(connection).await?)
    }

    /// How many entries are in this state.
    pub(crate) async fn count(&self, store: &Store, state: State) -> Result<u64, StoreError> {
        let sql = format!(
            "SELECT CAST(COUNT(*) AS BIGINT) AS entries FROM {} WHERE state = $1",
            self.table
        );
        let counted = sqlx::query(AssertSqlSafe(sql)).bind(state.number());
        let row = counted.fetch_one(store.pool()).await?;
        Ok(from_db(row.try_get("entries")?))
    }

    /// Lets an entry be tried now, also one that was refused or given up: for as long as it was to
    /// be tried at first.
    pub(crate) async fn again(
        &self,
        connection: &mut AnyConnection,
        id: &str,
        now: UnixMillis,
    ) -> Result<Again, StoreError> {
        let sql = format!("SELECT * FROM {} WHERE id = $1", self.table);
        let found = sqlx::query(AssertSqlSafe(sql)).bind(id);
        let Some(row) = found.fetch_optional(&mut *connection).await? else {
            return Ok(Again::Unknown);
        };
        let at_once = self.at_once.map(|column| row.try_get::<i64, _>(column));
        match State::of(row.try_get("state")?) {
            State::Sent => return Ok(Again::Sent),
            State::Gone => return Ok(Again::Gone),
            _ if at_once.transpose()?.is_some_and(|at_once| at_once != 0) => {
                return Ok(Again::AtOnce);
            }
            State::Refused | State::GivenUp if self.is_forgotten(&row)? => {
                return Ok(Again::Forgotten);
            }
            State::Waiting | State::Refused | State::GivenUp => {}
        }
        let expires = self.expires.map_or_else(String::new, |column| {
            format!(
                "{column} = CASE state WHEN 0 THEN {column} ELSE {column} - created_at + $2 END, "
            )
        });
        let sql = format!(
            "UPDATE {} SET {expires}created_at = CASE state WHEN 0 THEN created_at ELSE $2 END, \
             state = 0, next_at = $2, ended_at = 0 WHERE id = $1",
            self.table
        );
        let change = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(to_db(now.0));
        change.execute(connection).await?;
        Ok(Again::Waits)
    }

    fn is_forgotten(&self, row: &AnyRow) -> Result<bool, StoreError> {
        let Some(column) = self.says.first() else {
            return Ok(false);
        };
        let says: String = row.try_get(*column)?;
        Ok(says.is_empty())
    }

    /// Entries whose turn it is, at most `limit`.
    pub(crate) async fn due(
        &self,
        store: &Store,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let stored = self
            .at_once
            .map_or_else(String::new, |column| format!("AND {column} = 0 "));
        let sql = format!(
            "SELECT * FROM {} WHERE state = 0 {stored}AND next_at <= $1 ORDER BY next_at, id LIMIT $2",
            self.table
        );
        let found = sqlx::query(AssertSqlSafe(sql))
            .bind(to_db(now.0))
            .bind(i64::from(limit));
        Ok(found.fetch_all(store.pool()).await?)
    }

    /// An entry has ended so; what it said is forgotten unless it can be tried again.
    pub(crate) async fn ended(
        &self,
        store: &Store,
        id: &str,
        state: State,
        why: &Why,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let forgotten: String = self
            .says
            .iter()
            .map(|column| format!(", {column} = CASE WHEN $2 IN (1, 4) THEN '' ELSE {column} END"))
            .collect();
        let sql = format!(
            "UPDATE {} SET state = $2, ended_at = $3, tries = tries + 1, {} = $4, trouble = $5\
             {forgotten} WHERE id = $1 AND state = 0",
            self.table, self.code
        );
        let change = sqlx::query(AssertSqlSafe(sql))
            .bind(id)
            .bind(state.number())
            .bind(to_db(now.0))
            .bind(why.code.map_or(0, i64::from))
            .bind(&why.text);
        change.execute(store.pool()).await?;
        Ok(())
    }

    /// An entry is tried again at `next`.
    pub(crate) async fn put_off(
        &self,
        store: &Store,
        id: &str,
        why: &Why,
        next: UnixMillis,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "UPDATE {} SET next_at = $2, tries = tries + 1, {} = $3, trouble = $4 \
             WHERE id = $1 AND state = 0",
            self.table, self.code
        );
        let change = sqlx::query(AssertSqlSafe(sql))
            .bind(id)
            .bind(to_db(next.0))
            .bind(why.code.map_or(0, i64::from))
            .bind(&why.text);
        change.execute(store.pool()).await?;
        Ok(())
    }

    /// Forgets entries that ended long ago.
    async fn forget(&self, store: &Store, now: UnixMillis) -> Result<(), StoreError> {
        let before = |days: u64| to_db(now.0.saturating_sub(days * DAY));
        if let Some(first) = self.says.first() {
            let emptied: Vec<_> = self
                .says
                .iter()
                .map(|says| format!("{says} = ''"))
                .collect();
            let sql = format!(
                "UPDATE {} SET {} WHERE state <> 0 AND ended_at < $1 AND {first} <> ''",
                self.table,
                emptied.join(", ")
            );
            let change = sqlx::query(AssertSqlSafe(sql)).bind(before(RETRIED_DAYS));
            change.execute(store.pool()).await?;
        }
        // What others bring waits for ever, if nobody tries it any more.
        let abandoned = self.at_once.map_or_else(String::new, |column| {
            format!(" OR ({column} = 1 AND next_at < $1)")
        });
        let sql = format!(
            "DELETE FROM {} WHERE (state <> 0 AND ended_at < $1){abandoned}",
            self.table
        );
        let change = sqlx::query(AssertSqlSafe(sql)).bind(before(KEPT_DAYS));
        change.execute(store.pool()).await?;
        Ok(())
    }
}

/// Forgets a table's old entries from time to time.
#[derive(Debug)]
pub(crate) struct Forgetting {
    outbox: &'static Outbox,
    last: UnixMillis,
}

impl Forgetting {
    pub(crate) const fn of(outbox: &'static Outbox) -> Self {
        Self {
            outbox,
            last: UnixMillis(0),
        }
    }

    /// Does it, if it is time.
    pub(crate) async fn look(&mut self, store: &Store, now: UnixMillis) -> Result<(), StoreError> {
        if now.0.saturating_sub(self.last.0) >= FORGET {
            self.outbox.forget(store, now).await?;
            self.last = now;
        }
        Ok(())
    }
}

/// How long an entry waits after so many tries before this one.
pub(crate) fn wait(tries: u64) -> Duration {
    FIRST.saturating_mul(1u32 << tries.min(16)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_waits_longer_at_each_try() {
        let minutes: Vec<u64> = (0..9).map(|tries| wait(tries).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!(wait(u64::MAX), LONGEST);
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        for state in State::ALL {
            assert_eq!(State::of(state.number()), state);
        }
        assert_eq!(State::of(99), State::GivenUp);
    }
}
