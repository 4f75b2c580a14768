//! Carries SQLite's write-ahead log over into the database beside the writer.
//!
//! Left to itself, SQLite does so in the middle of a commit every few dozen transactions,
//! and everybody who waits for that commit waits tens of milliseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

/// Between two rounds, at least.
const REST: Duration = Duration::from_millis(250);

/// Frames (of one page each) after which the log begins anew, 16 MiB: writing over what is
/// there syncs faster than making the file longer.
const LONG: i64 = 4096;

/// Carries the log over, on a thread of its own; ends when dropped.
pub(super) struct Trim {
    wake: SyncSender<()>,
    is_long: Arc<AtomicBool>,
}

impl Trim {
    pub(super) fn start(connection: Connection) -> Self {
        let (wake, woken) = sync_channel(1);
        let is_long = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_long);
        let thread = thread::Builder::new().name("sekisho-wal".to_owned());
        if let Err(error) = thread.spawn(move || run(&connection, &woken, &flag)) {
            tracing::warn!(%error, "no thread for the write-ahead log: it grows until the next start");
        }
        Self { wake, is_long }
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
        if self.is_long.swap(false, Ordering::Relaxed)
            && let Err(error) = checkpoint(connection)
        {
            tracing::warn!(%error, "the write-ahead log could not be carried over; tried again later");
        }
    }
}

fn run(connection: &Connection, woken: &Receiver<()>, is_long: &AtomicBool) {
    while woken.recv().is_ok() {
        match checkpoint(connection) {
            Ok(frames) => is_long.store(frames > LONG, Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log could not be carried over; tried again later");
            }
        }
        thread::sleep(REST);
    }
}

/// Waits for nobody. Returns how many frames the log has.
fn checkpoint(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))
}
