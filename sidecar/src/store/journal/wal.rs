//! Carries SQLite's write-ahead log over into the database beside the writer.
//!
//! Left to itself, SQLite does so in the middle of a commit every few dozen transactions,
//! and everybody who waits for that commit waits tens of milliseconds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

/// Between two rounds, at least: whoever syncs meanwhile waits for the round, so it is to be short.
const REST: Duration = Duration::from_millis(100);

/// Frames (of one page each) after which the log begins anew, 16 MiB: writing over what is
/// there syncs faster than making the file longer.
const LONG: i64 = 4096;

/// Carries the log over, on a thread of its own; ends when dropped.
pub(super) struct Trim {
    wake: SyncSender<()>,
    seen: Arc<Seen>,
}

/// What the thread has seen.
#[derive(Default)]
struct Seen {
    is_long: AtomicBool,
    /// There was no room for the database to grow.
    is_full: AtomicBool,
    /// The disk no longer does what it is told. Nobody knows what of the database it has.
    failure: OnceLock<String>,
}

impl Seen {
    /// Takes an outcome in.
    fn note(&self, outcome: Result<i64, rusqlite::Error>) {
        match outcome {
            Ok(frames) => self.is_long.store(frames > LONG, Ordering::Relaxed),
            Err(error) => match error.sqlite_error_code() {
                // What is not carried over stays in the log, which is on disk.
                Some(ErrorCode::DiskFull) => self.is_full.store(true, Ordering::Relaxed),
                // Somebody else is at it.
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    tracing::warn!(%error, "the write-ahead log could not be carried over; tried again later");
                }
                // The first is the one to tell.
                _ => drop(self.failure.set(error.to_string())),
            },
        }
    }
}

impl Trim {
    pub(super) fn start(connection: Connection) -> Self {
        let (wake, woken) = sync_channel(1);
        let seen = Arc::new(Seen::default());
        let noting = Arc::clone(&seen);
        let thread = thread::Builder::new().name("sekisho-wal".to_owned());
        if let Err(error) = thread.spawn(move || run(&connection, &woken, &noting)) {
            tracing::warn!(%error, "no thread for the write-ahead log: it grows until the next start");
        }
        Self { wake, seen }
    }

    /// Something was committed.
    pub(super) fn written(&self) {
        // Full: it is awake already.
        let _ = self.wake.try_send(());
    }

    /// Carries the rest of a long log over, so that it begins anew with the next
    /// transaction: under load only the writer, between two of them, finds it at rest.
    /// Almost all has been carried over before, so this takes a few milliseconds.
    pub(super) fn finish_if_long(&self, connection: &Connection) {
        if self.seen.is_long.swap(false, Ordering::Relaxed) {
            self.seen.note(checkpoint(connection));
        }
    }

    /// Whether there was no room since this was last asked.
    pub(super) fn was_full(&self) -> bool {
        self.seen.is_full.swap(false, Ordering::Relaxed)
    }

    /// Why nothing may be acknowledged any more, if so.
    pub(super) fn failure(&self) -> Option<&str> {
        self.seen.failure.get().map(String::as_str)
    }
}

fn run(connection: &Connection, woken: &Receiver<()>, seen: &Seen) {
    while woken.recv().is_ok() {
        seen.note(checkpoint(connection));
        thread::sleep(REST);
    }
}

/// Waits for nobody. Returns how many frames the log has.
fn checkpoint(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))
}
