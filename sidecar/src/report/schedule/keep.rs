//! Looks for what is due again and again.

use std::time::Duration;

use super::{Period, Schedule, ScheduleError, Scheduler};
use crate::objects::{Objects, environment};
use crate::vitals::{Kind, Pulse, Vitals};

/// Between looks.
const LOOK: Duration = Duration::from_secs(60);
/// Looks after which a place that can be used is tried again: an hour.
const LOOKS: u32 = 60;

/// A schedule, and how it goes.
struct Kept<'s> {
    schedule: &'s Schedule,
    pulse: Pulse,
    /// Looks until its place is tried.
    looks: u32,
}

impl Scheduler {
    /// Never ends. What fails is told once, noted among `vitals`, and tried again.
    pub async fn run(self, vitals: Vitals) {
        let kept = |schedule| Kept {
            schedule,
            pulse: Pulse::default(),
            looks: 0,
        };
        let mut all: Vec<Kept<'_>> = self.schedules.iter().map(kept).collect();
        for kept in &all {
            vitals.add(Kind::Report, &kept.schedule.name, kept.pulse.clone());
        }
        loop {
            for kept in &mut all {
                self.look(kept).await;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look(&self, kept: &mut Kept<'_>) {
        let (schedule, pulse) = (kept.schedule, &kept.pulse);
        let name = &schedule.name;
        let looked = async {
            let sent = self.round(schedule).await?;
            if kept.looks == 0 {
                self.try_place(schedule).await?;
                kept.looks = LOOKS;
            }
            kept.looks -= 1;
            Ok::<_, ScheduleError>(sent)
        };
        match looked.await {
            Ok(sent) => {
                pulse.well(self.clock.now());
                let (letters, into) = (schedule.to.len(), schedule.into.as_deref());
                for period in sent {
                    tracing::info!(report = name, period, letters, into, "a report was sent");
                }
            }
            Err(error) => {
                let why = error.to_string();
                if pulse.failed(self.clock.now(), why.clone()) {
                    tracing::error!(report = name, why, "a report cannot be sent");
                }
            }
        }
    }

    /// Whether the place of its files can be used: months may pass until the first one is due.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub async fn try_place(&self, schedule: &Schedule) -> Result<(), ScheduleError> {
        if let Some(place) = &schedule.into {
            let today = Period::of(schedule.every, self.calendar.day(self.clock.now()));
            let folder = format!("{}/{}", schedule.name, today.name());
            Objects::open(place, environment())?.list(&folder).await?;
        }
        Ok(())
    }
}
