//! Keeps an archive up with a running log.

use std::path::PathBuf;
use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Archive, ArchiveError};
use crate::clock::Clock;
use crate::log::tables;
use crate::log::tiles::WIDTH;
use crate::store::Store;
use crate::vitals::Pulse;

/// How often the log is looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// A record is archived after this time at the latest, also when its tile is not full:
/// unfinished tiles are written again and again until they are.
const LATEST: Duration = Duration::from_secs(60);

/// The task that archives.
#[derive(Debug)]
pub struct Archiving {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    pulse: Pulse,
}

impl Archiving {
    /// Begins to archive the log `origin` to a folder.
    ///
    /// # Errors
    /// The folder cannot be used. Later errors are logged, and tried again.
    pub fn start(
        store: Store,
        folder: PathBuf,
        origin: String,
        key: VerifyingKey,
        clock: Clock,
    ) -> Result<Self, ArchiveError> {
        let archive = Archive::open(folder.clone(), &origin, key)?;
        let (stop, stopped) = oneshot::channel();
        let reopen = move || Archive::open(folder.clone(), &origin, key);
        let pulse = Pulse::default();
        let noted = (pulse.clone(), clock);
        let task = tokio::spawn(keep_up(store, archive, reopen, stopped, noted));
        Ok(Self { stop, task, pulse })
    }

    /// How the folder is.
    #[must_use]
    pub const fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Archives all that has been signed by now, and ends.
    pub async fn finish(self) {
        if self.stop.send(()).is_ok() {
            // Its errors are logged.
            let _ = self.task.await;
        }
    }
}

async fn keep_up(
    store: Store,
    archive: Archive,
    reopen: impl Fn() -> Result<Archive, ArchiveError>,
    mut stopped: oneshot::Receiver<()>,
    (pulse, clock): (Pulse, Clock),
) {
    let mut archive = Some(archive);
    let mut last = Instant::now();
    loop {
        let stopping = tokio::time::timeout(PERIOD, &mut stopped).await.is_ok();
        let due = stopping || last.elapsed() >= LATEST;
        match round(&store, archive.take(), &reopen, due).await {
            Ok((kept, archived)) => {
                if archived {
                    last = Instant::now();
                    pulse.well(clock.now());
                }
                archive = Some(kept);
            }
            Err(error) => {
                // Once per trouble, not every second.
                if pulse.failed(clock.now(), error.to_string()) {
                    tracing::error!(%error, "the log cannot be archived");
                }
            }
        }
        if stopping {
            return;
        }
    }
}

/// Archives what is new if a tile has become full, or anyway if it is `due`. Whether it did.
async fn round(
    store: &Store,
    archive: Option<Archive>,
    reopen: impl Fn() -> Result<Archive, ArchiveError>,
    due: bool,
) -> Result<(Archive, bool), ArchiveError> {
    let mut archive = match archive {
        Some(archive) => archive,
        None => reopen()?,
    };
    let mut connection = store.pool().acquire().await?;
    let signed = tables::newest_checkpoint(&mut connection).await?;
    drop(connection);
    let full = |size: u64| size / WIDTH as u64;
    let archived = due || full(signed) > full(archive.size());
    if archived {
        archive.advance(store).await?;
    }
    Ok((archive, archived))
}
