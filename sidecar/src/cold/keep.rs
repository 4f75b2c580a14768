//! Moves and deletes again and again.

use std::time::Duration;

use super::{ColdError, Mover, expire};
use crate::clock::Clock;
use crate::events::Author;
use crate::vitals::Pulse;
use crate::writer::Writer;

/// Between looks.
const LOOK: Duration = Duration::from_secs(600);

/// Keeps the policy's retention.
#[derive(Debug)]
pub struct Keeper {
    /// Moves.
    pub mover: Mover,
    /// Days that records are kept altogether; none: for ever.
    pub days: Option<u32>,
    /// Tells the time.
    pub clock: Clock,
    /// Takes the events into the log.
    pub writer: Writer,
    /// How it goes.
    pub pulse: Pulse,
}

impl Keeper {
    /// Never ends. What fails is told once, and tried again.
    pub async fn run(self) {
        loop {
            match self.round().await {
                Ok(()) => {
                    self.pulse.well(self.clock.now());
                }
                Err(error) => {
                    if self.pulse.failed(self.clock.now(), error.to_string()) {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(error, "older records stay where they are");
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn round(&self) -> Result<(), ColdError> {
        let moved = self.mover.round(self.clock.now()).await?;
        if moved.records > 0 {
            let (files, records) = (moved.files, moved.records);
            tracing::info!(files, records, "older records were moved");
        }
        let Some(days) = self.days else {
            return Ok(());
        };
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| ColdError::Random)?;
        let mut author = Author::program("sekisho serve", self.clock.now(), seed);
        let expired = expire(&self.mover, days, &mut author).await?;
        if expired.files > 0 {
            let (files, records) = (expired.files, expired.records);
            tracing::info!(files, records, "records were deleted: their time was over");
            // The next one to run does it otherwise.
            let _ = self.writer.take_pending().await;
        }
        Ok(())
    }
}
