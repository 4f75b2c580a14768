//! Events of the sidecar itself on their way into the log.

use sekisho_domain::UnixMillis;

use super::{Core, Poison, Work};
use crate::log::Recorded;
use crate::log::tables;
use crate::store::pending;
use crate::writer::Recording;
use crate::writer::recent::Memory;

impl Core {
    /// Takes an event in, unless there is a record of its id.
    pub(super) fn event(&mut self, event: Recorded, work: &mut Work, now: UnixMillis) -> Recording {
        let is_known = match self.recent.ask(event.id, event.kind, now) {
            Memory::Known => true,
            Memory::New => false,
            Memory::Doubtful => {
                let kind = tables::kind_number(event.kind);
                work.known.contains(&(event.id, kind))
            }
        };
        if is_known {
            return Recording::Known;
        }
        self.append(event, None, None, work);
        Recording::New
    }

    /// Takes into the log what changes have left to be recorded, the oldest first, at most
    /// [`pending::MOST`]. Says whether there may be more.
    pub(in crate::writer) async fn take_pending(
        &mut self,
        now: UnixMillis,
    ) -> Result<bool, Poison> {
        let waiting = pending::oldest(&mut self.connection).await?;
        if waiting.is_empty() {
            return Ok(false);
        }
        let is_part = waiting.len() >= pending::MOST;
        let events: Vec<Recorded> = waiting.into_iter().collect::<Result<_, _>>()?;
        let mut work = Work::default();
        self.prepare(&[], &events, &mut work, now).await?;
        for event in events {
            work.taken.push(event.id);
            self.event(event, &mut work, now);
        }
        self.commit(work, now).await?;
        Ok(is_part)
    }
}
