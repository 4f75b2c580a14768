//! The database: SQLite on one machine, PostgreSQL beyond it, through the same SQL.
//!
//! Rules of that SQL: parameters are `$1`; whole numbers, booleans (0 or 1) and times
//! (Unix milliseconds) are `BIGINT`, names are `TEXT`, bytes are `{blob}`, a whole number as primary
//! key is `{key}`, a table with few rows that change often is `{clustered}`; sums are cast
//! back with `CAST(SUM(x) AS BIGINT)`, because PostgreSQL makes them `NUMERIC`.

pub mod active;
pub mod alerts;
pub mod budgets;
pub(crate) mod figures;
pub mod issuer_keys;
pub(crate) mod journal;
pub mod keys;
mod lock;
mod migrations;
pub mod orders;
pub mod pending;
pub mod people;
pub mod policies;
pub(crate) mod reserve;
pub(crate) mod script;
pub mod settings;
pub mod state_marks;
pub mod units;

use crate::cold::Place;
use crate::vitals::Pulse;
pub(crate) use lock::Lock;
use sqlx::any::AnyPoolOptions;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Transaction};

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not a database that this release speaks to.
    #[error("`{0}` is not a database URL: use `sqlite:FILE` or `postgres://USER@HOST/DATABASE`")]
    UnknownDatabase(String),
    /// Written by a later release.
    #[error(
        "the database has schema version {found}, this release knows {known}: use the newer release"
    )]
    NewerSchema {
        /// Of the database.
        found: i64,
        /// Of this release.
        known: i64,
    },
    /// The database says no.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
    /// Records that were moved out of the database cannot be read.
    #[error(transparent)]
    Older(Box<crate::cold::ColdError>),
}

impl From<crate::cold::ColdError> for StoreError {
    fn from(error: crate::cold::ColdError) -> Self {
        match error {
            crate::cold::ColdError::Store(error) => error,
            error => Self::Older(Box::new(error)),
        }
    }
}

/// Which SQL dialect the database speaks, where they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite 3.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Dialect {
    /// Fills the places of a statement where the dialects differ.
    fn write(self, sql: &str) -> String {
        let blob = match self {
            Self::Sqlite => "BLOB",
            Self::Postgres => "BYTEA",
        };
        let key = match self {
            Self::Sqlite => "INTEGER NOT NULL PRIMARY KEY",
            Self::Postgres => "BIGINT NOT NULL PRIMARY KEY",
        };
        let clustered = match self {
            // Rows stand in the primary key's tree: one page to write instead of two.
            Self::Sqlite => "WITHOUT ROWID",
            Self::Postgres => "",
        };
        let outcome_in_body = match self {
            // Of what somebody has damaged nothing is found, and the rest is.
            Self::Sqlite => {
                "CASE WHEN json_valid(CAST(body AS TEXT)) \
                 THEN json_extract(CAST(body AS TEXT), '$.outcome') END"
            }
            Self::Postgres => r#"substring(encode(body, 'escape') from '"outcome":"([a-z]+)"')"#,
        };
        sql.replace("{blob}", blob)
            .replace("{key}", key)
            .replace("{clustered}", clustered)
            .replace("{outcome_in_body}", outcome_in_body)
    }

    /// What every connection begins with.
    const fn settings(self) -> &'static str {
        match self {
            // An acknowledged record must survive a power cut: FULL syncs at each commit.
            Self::Sqlite => {
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                 PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000"
            }
            // The same where the server's configuration says otherwise; and a machine that
            // vanishes leaves no session behind that keeps rows from the others for hours.
            Self::Postgres => {
                "SELECT set_config('synchronous_commit', 'on', false) \
                 WHERE current_setting('synchronous_commit') = 'off'; \
                 SET idle_in_transaction_session_timeout = '10s'; \
                 SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 1; \
                 SET tcp_keepalives_count = 5; SET tcp_user_timeout = '10s'"
            }
        }
    }

    /// Begins a transaction that is going to write.
    #[must_use]
    pub(crate) const fn begin_writing(self) -> &'static str {
        match self {
            // Taking the write lock at once: a later upgrade from reading can fail.
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }
}

/// An open database with the current schema; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    dialect: Dialect,
    url: String,
    pulse: Pulse,
    cold: Place,
}

impl Store {
    /// Opens the database, creating it (SQLite) and its tables where they are missing.
    ///
    /// `url`: `sqlite:FILE`, or a PostgreSQL URL.
    ///
    /// # Errors
    /// [`StoreError`]; what was there is unchanged then.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (dialect, url) = dialect(url)?;
        // By itself first: the pool would try for half a minute what has failed, before it
        // said so.
        let mut connection = AnyConnection::connect(&url).await?;
        sqlx::raw_sql(dialect.settings())
            .execute(&mut connection)
            .await?;
        let pool = AnyPoolOptions::new()
            .max_connections(8)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    let settings = dialect.settings();
                    sqlx::raw_sql(settings).execute(&mut *connection).await?;
                    Ok(())
                })
            })
            .connect(&url)
            .await?;
        connection.close().await?;
        let store = Self {
            pool,
            dialect,
            url,
            pulse: Pulse::default(),
            cold: Place::default(),
        };
        migrations::run(&store).await?;
        Ok(store)
    }

    /// Connections for everything but the audit log, the ledger and the roll-ups, which
    /// only the writer changes.
    #[must_use]
    pub const fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// The same, whose older records are at this place, whatever the database says.
    #[must_use]
    pub fn with_cold(self, cold: Place) -> Self {
        Self { cold, ..self }
    }

    /// Where older records are.
    pub(crate) const fn cold(&self) -> &Place {
        &self.cold
    }

    /// A connection for somebody who keeps it.
    pub(crate) async fn connect(&self) -> Result<AnyConnection, sqlx::Error> {
        Ok(self.pool.acquire().await?.detach())
    }

    /// Begins a transaction that takes its turn among those that write.
    ///
    /// # Errors
    /// [`StoreError`]: nothing has begun.
    pub(crate) async fn begin_writing(&self) -> Result<Transaction<'static, Any>, StoreError> {
        let begin = self.dialect.begin_writing();
        Ok(self.pool.begin_with(begin).await?)
    }

    /// How the database is, as whoever follows its changes has found it.
    #[must_use]
    pub const fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// The dialect of this database.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The database without what may be secret.
    pub(crate) fn shown(&self) -> String {
        self.file().unwrap_or("PostgreSQL").to_owned()
    }

    /// The file of an SQLite database.
    pub(crate) fn file(&self) -> Option<&str> {
        let rest = self.url.strip_prefix("sqlite://")?;
        rest.split('?').next()
    }
}

/// The file of an SQLite database, by its URL; `None`: it is another kind of database.
pub(crate) fn sqlite_file(url: &str) -> Option<String> {
    let (_, url) = dialect(url).ok()?;
    let file = url.strip_prefix("sqlite://")?.split('?').next();
    file.map(str::to_owned)
}

fn dialect(url: &str) -> Result<(Dialect, String), StoreError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok((Dialect::Postgres, url.to_owned()));
    }
    let Some(file) = url.strip_prefix("sqlite:") else {
        // Without what may be a password.
        let scheme = url.split(':').next().unwrap_or_default();
        return Err(StoreError::UnknownDatabase(scheme.to_owned()));
    };
    let file = file.strip_prefix("//").unwrap_or(file);
    if file.contains(":memory:") {
        return Err(StoreError::UnknownDatabase("sqlite::memory:".to_owned()));
    }
    let mode = if file.contains('?') { "" } else { "?mode=rwc" };
    Ok((Dialect::Sqlite, format!("sqlite://{file}{mode}")))
}
