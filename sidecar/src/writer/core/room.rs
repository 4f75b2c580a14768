//! What becomes of calls when the disk is full.

use sekisho_domain::{RecordId, UnixMillis};

use super::{Core, Poison};
use crate::store::reserve::Reserve;

impl Core {
    /// Whether new calls may begin: there is room for their ends.
    pub(super) fn takes_calls(&self) -> bool {
        self.reserve.as_ref().is_none_or(Reserve::is_held)
    }

    /// Whether a refusal is only counted: it is of no call that has begun, and there is room
    /// for nothing else.
    pub(super) fn only_counts(&self, id: &RecordId) -> bool {
        !self.takes_calls() && self.ledger.open_call(id).is_none()
    }

    /// Says whether there is room; nothing where none is kept.
    pub(super) fn tell_of_room(&self, now: UnixMillis) {
        let disk = &self.pulses.disk;
        match &self.reserve {
            None => {}
            Some(reserve) if reserve.is_held() => {
                disk.well(now);
            }
            Some(_) => {
                let why = "the disk is full: no call is admitted until there is room again";
                disk.failed(now, why.to_owned());
            }
        }
    }

    /// Gives up the space that is kept, so that what was not written can be; `false`: there is
    /// none.
    pub(super) fn make_room(&mut self) -> bool {
        let made = self.reserve.as_mut().is_some_and(Reserve::release);
        if made {
            tracing::error!(
                "the disk is full: no call is admitted until there is room again; those that were \
                 end in the space that was kept for them"
            );
        }
        made
    }

    /// Looks whether the disk is full, or no longer.
    pub(super) fn look_for_room(&mut self) -> Result<(), Poison> {
        if self.journal.was_full() {
            self.make_room();
            return Ok(());
        }
        if let Some(reserve) = self.reserve.as_mut().filter(|reserve| !reserve.is_held())
            && reserve.fill().map_err(Poison::Reserve)?
        {
            tracing::info!("there is room on the disk again: calls are admitted");
        }
        Ok(())
    }
}

/// Whether a statement of the asynchronous connection found no room.
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    /// `SQLITE_FULL`, as the driver shows it.
    const FULL: &str = "13";
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == FULL)
}
