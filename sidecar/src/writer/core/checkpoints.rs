//! Checkpoints: signed, and kept in two places.

use std::future;
use std::io;

use sekisho_domain::UnixMillis;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Core, Poison, STUCK};
use crate::log::checkpoint::Checkpoint;
use crate::log::tables;
use crate::store::script::Script;

/// A checkpoint on its way to the second place. Whoever waits for a record does not wait for it.
pub(super) struct Exporting {
    size: u64,
    note: String,
    began: Instant,
    done: JoinHandle<io::Result<()>>,
}

impl Core {
    /// Signs what is durable, if there is anything new, keeps it in the database and sends it to
    /// the second place; not before the last one has got there.
    pub(super) async fn checkpoint(&mut self, now: UnixMillis) -> Result<(), Poison> {
        if let Some(exporting) = &self.exporting {
            if exporting.began.elapsed() > STUCK {
                let why = "the second place of checkpoints does not answer";
                return Err(Poison::Export(io::Error::new(io::ErrorKind::TimedOut, why)));
            }
            return Ok(());
        }
        if self.tree.size() == self.checkpointed {
            return Ok(());
        }
        let checkpoint = Checkpoint::of(&self.origin, &self.tree);
        let note = checkpoint.sign(&self.key);
        let mut script = Script::default();
        tables::save_checkpoint(&mut script, checkpoint.size, now.0, &note);
        tables::save_tree(&mut script, &self.tree, self.epoch, 0);
        self.write(&script).await?;
        self.export(checkpoint.size, note, now);
        Ok(())
    }

    fn export(&mut self, size: u64, note: String, now: UnixMillis) {
        let Some(export) = self.export.clone() else {
            self.is_kept(size, now);
            return;
        };
        let sent = note.clone();
        self.exporting = Some(Exporting {
            size,
            note,
            began: Instant::now(),
            done: tokio::task::spawn_blocking(move || export.append(&sent, now)),
        });
    }

    fn is_kept(&mut self, size: u64, now: UnixMillis) {
        self.pulses.checkpoints.well(now);
        self.checkpointed = size;
    }

    /// Returns when the checkpoint that is on its way has got to the second place; never while
    /// there is none. Cancel-safe.
    pub(in crate::writer) async fn exported(&mut self) -> Result<(), io::Error> {
        match &mut self.exporting {
            Some(exporting) => (&mut exporting.done)
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error))),
            None => future::pending().await,
        }
    }

    /// What [`Self::exported`] has returned: once more with the space that is kept, if there was
    /// none.
    pub(in crate::writer) fn note_exported(
        &mut self,
        exported: io::Result<()>,
        now: UnixMillis,
    ) -> Result<(), Poison> {
        let Some(Exporting { size, note, .. }) = self.exporting.take() else {
            return Ok(());
        };
        match exported {
            Ok(()) => self.is_kept(size, now),
            Err(error) if error.kind() == io::ErrorKind::StorageFull && self.make_room() => {
                self.export(size, note, now);
            }
            Err(error) => return Err(Poison::Export(error)),
        }
        Ok(())
    }

    /// Waits until all there is has a checkpoint in both places.
    pub(in crate::writer) async fn settle_checkpoints(
        &mut self,
        now: UnixMillis,
    ) -> Result<(), Poison> {
        loop {
            while self.exporting.is_some() {
                let exported = self.exported().await;
                self.note_exported(exported, now)?;
            }
            if self.tree.size() == self.checkpointed {
                return Ok(());
            }
            self.checkpoint(now).await?;
        }
    }
}
