//! Scripts on SQLite, on a connection of their own.

use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags};

use super::JournalError;
use super::wal::Trim;
use crate::store::script::{Script, Step, Value};

/// How long a transaction rests before it looks whether another one, of the REST API, has ended:
/// SQLite would rest longer each time, up to a tenth of a second, and calls wait for this one.
const REST: Duration = Duration::from_micros(200);

/// How often it looks: for ten seconds.
const LOOKS: i32 = 50_000;

/// Different statements that stay prepared.
const PREPARED: usize = 32;

pub(crate) struct Direct {
    connection: Connection,
    trim: Trim,
}

impl Direct {
    pub(super) fn open(file: &str) -> Result<Self, rusqlite::Error> {
        let connection = connect(file)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        // A former process may have ended because a sync failed: what it left in the log may then
        // be in the system's memory only, and no later sync would write it. So all of it is written
        // to the database and synced before anything is built on it.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let trim = Trim::start(connect(file)?);
        Ok(Self { connection, trim })
    }

    pub(super) fn is_sound(&self) -> Result<(), JournalError> {
        let failure = self.trim.failure().map(str::to_owned);
        failure.map_or(Ok(()), |failure| Err(JournalError::CarriedOver(failure)))
    }

    pub(super) fn was_full(&self) -> bool {
        self.trim.was_full()
    }

    pub(super) fn commit(&mut self, script: &Script) -> Result<(), JournalError> {
        self.trim.finish_if_long(&self.connection);
        self.is_sound()?;
        execute(&self.connection, "BEGIN IMMEDIATE")?;
        let ran =
            run(&self.connection, script).and_then(|()| Ok(execute(&self.connection, "COMMIT")?));
        if let Err(error) = ran {
            // The first error is the one to tell. There may be no transaction any more.
            let _ = self.connection.execute_batch("ROLLBACK");
            return Err(error);
        }
        self.trim.written();
        Ok(())
    }
}

fn connect(file: &str) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_handler(Some(wait))?;
    // Pages of the tree of persons, of which every record of another person finds another, stay in
    // memory: 64 MiB of them.
    connection.execute_batch("PRAGMA cache_size = -65536")?;
    // An acknowledged record must survive a power cut: FULL syncs at each commit. The log
    // is carried over by `Trim`, which nobody waits for.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0")?;
    Ok(connection)
}

/// Runs a statement that stays prepared.
fn execute(connection: &Connection, sql: &str) -> Result<(), rusqlite::Error> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn wait(looks: i32) -> bool {
    std::thread::sleep(REST);
    looks < LOOKS
}

fn run(connection: &Connection, script: &Script) -> Result<(), JournalError> {
    for step in &script.steps {
        let changed = write(connection, step)?;
        if step.is_guard && changed != 1 {
            return Err(JournalError::Guard);
        }
    }
    Ok(())
}

fn write(connection: &Connection, step: &Step) -> Result<usize, rusqlite::Error> {
    let mut statement = connection.prepare_cached(&step.rows.sql(1))?;
    let mut changed = 0;
    for row in step.values.chunks(step.rows.columns.max(1)) {
        changed += statement.execute(rusqlite::params_from_iter(row))?;
    }
    Ok(changed)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
            Self::NoInteger | Self::NoText => ValueRef::Null,
        }))
    }
}
