//! Waiting for the turn to write.

use std::sync::Arc;
use std::time::Duration;

use sqlx::AnyConnection;
use tokio::sync::watch;

use super::StartError;
use crate::store::{Lock, Store, active};

/// Between two heartbeats of the active sidecar.
const BEAT: Duration = Duration::from_millis(200);

/// Between two looks at the active sidecar.
const LOOK: Duration = Duration::from_millis(100);

/// Looks in a row that must find no new heartbeat before the active sidecar counts as gone:
/// four heartbeats that did not come.
const SILENT_LOOKS: u32 = 8;

/// How long one look may take: a connection over which nothing comes back is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes the lock if it is free.
pub(super) async fn at_once(store: &Store) -> Result<(AnyConnection, Lock), StartError> {
    let mut connection = store.connect().await?;
    let lock = Lock::take(store, &mut connection).await?;
    let lock = lock.ok_or_else(|| StartError::Taken(store.shown()))?;
    Ok((connection, lock))
}

/// Takes the lock as soon as it is free, however long that takes and whatever the database
/// does meanwhile.
pub(super) async fn in_turn(store: &Store) -> Result<(AnyConnection, Lock), StartError> {
    if store.file().is_some() {
        // One machine has one sidecar: another one on the same file is a mistake.
        return at_once(store).await;
    }
    let mut connection = None;
    let mut silence = Silence::default();
    let (mut failing, mut waiting) = (false, false);
    loop {
        let looked = tokio::time::timeout(PATIENCE, look(store, &mut connection, &mut silence));
        let error = match looked.await {
            Ok(Ok(Some(lock))) => match connection.take() {
                Some(connection) => return Ok((connection, lock)),
                None => continue,
            },
            Ok(Ok(None)) => {
                if !waiting {
                    tracing::info!("another sidecar is active: standing by");
                }
                waiting = true;
                None
            }
            Ok(Err(error)) => Some(error),
            Err(_) => Some(sqlx::Error::PoolTimedOut),
        };
        if let Some(error) = &error {
            connection = None;
            silence = Silence::default();
            // Once per outage, not ten times a second.
            if !failing {
                let error: &dyn std::error::Error = error;
                tracing::warn!(error, "the database cannot be asked who is active");
            }
        }
        failing = error.is_some();
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(
    store: &Store,
    connection: &mut Option<AnyConnection>,
    silence: &mut Silence,
) -> Result<Option<Lock>, sqlx::Error> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(store.connect().await?),
    };
    if let Some(lock) = Lock::take(store, connection).await? {
        return Ok(Some(lock));
    }
    let beats = active::beats(connection).await?;
    if silence.is_silent(beats) && active::end_silent(connection, beats).await? {
        tracing::warn!("the active sidecar is silent: its session has been ended");
        // Without a pause: the server gives its lock back at once.
        *silence = Silence::default();
        return Lock::take(store, connection).await;
    }
    Ok(None)
}

/// Lets those that stand by know that this sidecar lives, until it has `ended`. Not on the
/// writer's thread or session: a writer with much to do is not silent.
pub(super) async fn beat(store: Store, mut ended: watch::Receiver<Option<Arc<str>>>) {
    if store.file().is_some() {
        // The lock is a file's: it cannot outlive its holder.
        return;
    }
    let mut connection = None;
    loop {
        tokio::select! {
            _ = ended.wait_for(Option::is_some) => return,
            () = tokio::time::sleep(BEAT) => {}
        }
        let beating = tokio::time::timeout(PATIENCE, once(&store, &mut connection));
        if !matches!(beating.await, Ok(Ok(()))) {
            // Tried again at once: what nobody hears for a second counts as silence.
            connection = None;
        }
    }
}

async fn once(store: &Store, connection: &mut Option<AnyConnection>) -> Result<(), sqlx::Error> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(store.connect().await?),
    };
    active::beat(connection).await
}

/// How long nothing has been heard, in looks.
#[derive(Debug, Default)]
struct Silence {
    beats: Option<u64>,
    looks: u32,
}

impl Silence {
    /// Takes in what a look found; whether it has been the same for too long.
    fn is_silent(&mut self, beats: u64) -> bool {
        if self.beats == Some(beats) {
            self.looks = self.looks.saturating_add(1);
        } else {
            self.beats = Some(beats);
            self.looks = 0;
        }
        self.looks >= SILENT_LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_the_same_count_in_so_many_looks() {
        let mut silence = Silence::default();
        for beats in [7, 7, 8] {
            assert!(!silence.is_silent(beats));
        }
        for _ in 1..SILENT_LOOKS {
            assert!(!silence.is_silent(8));
        }
        assert!(silence.is_silent(8) && silence.is_silent(8));
        assert!(!silence.is_silent(9));
    }
}
