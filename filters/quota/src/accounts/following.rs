//! Reservations that grow as an answer passes.

use sekisho_domain::UnixMillis;

use super::{Account, Accounts, Demand, Lease, Slot};
use crate::{Reservation, Streamed};

/// A budget has nothing left for more of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dry(pub Slot);

impl Accounts {
    /// Covers `tokens` more of an answer, from the leases from which it was reserved. Whether
    /// its reservations grew for that: they grow by more than is needed, where there is more.
    /// `may_grow`: the leases are still the worker's to spend, because the sidecar hears it.
    ///
    /// # Errors
    /// [`Dry`]: a budget that follows the answer cannot cover them. Nothing has changed.
    pub fn follow(
        &mut self,
        reservations: &mut [Reservation],
        streamed: &mut Streamed,
        tokens: u64,
        may_grow: bool,
        now: UnixMillis,
    ) -> Result<bool, Dry> {
        let shown = streamed.with(tokens);
        for held in reservations.iter() {
            let lacks = lacks(held, streamed, shown);
            let free = if may_grow { self.free_for(held) } else { 0 };
            if lacks > free {
                return Err(Dry(held.slot));
            }
        }
        let mut has_grown = false;
        for held in reservations.iter_mut() {
            if lacks(held, streamed, shown) > 0 {
                self.grow(held, streamed, shown, now);
                has_grown = true;
            }
        }
        streamed.show(tokens);
        Ok(has_grown)
    }

    /// What is free of the lease that a reservation is a part of.
    fn free_for(&self, held: &Reservation) -> u64 {
        if held.lease.holder != self.holder {
            return 0; // of a lease that was given up
        }
        let account = self.account(held.slot);
        let lease = account.and_then(|account| account.lease_of(held));
        lease.map_or(0, |lease| lease.free)
    }

    fn grow(&mut self, held: &mut Reservation, streamed: &Streamed, shown: u64, now: UnixMillis) {
        let Some(account) = usize::try_from(held.slot.0)
            .ok()
            .and_then(|at| self.accounts.get_mut(at))
        else {
            return;
        };
        let (meter, Some(cut)) = (held.meter, held.cut) else {
            return;
        };
        let step = streamed.step(cut);
        let ample = streamed.amount(meter, shown.saturating_add(step));
        let usual = ample.saturating_sub(held.amount);
        let Some(lease) = account.lease_of_mut(held) else {
            return;
        };
        let more = usual.min(lease.free);
        lease.free -= more;
        lease.last_used = now;
        held.amount = held.amount.saturating_add(more);
        let wants_more = lease.free < usual && !lease.renewing && now < lease.window_end;
        if wants_more && usual > 0 {
            lease.renewing = true;
            let amount = match lease.remaining {
                // It may lie idle at other workers.
                0 => usual,
                remaining => usual.min(remaining),
            };
            self.renewals.push(Demand {
                slot: held.slot,
                amount,
            });
        }
    }
}

/// How much more must be set aside before so many tokens may be shown.
fn lacks(held: &Reservation, streamed: &Streamed, shown: u64) -> u64 {
    if held.cut.is_none() {
        return 0; // all that it can use was set aside
    }
    let needed = streamed.amount(held.meter, shown);
    needed.saturating_sub(held.amount)
}

impl Account {
    /// The lease of the window in which a reservation was made: its call belongs to that one,
    /// however long it takes.
    fn lease_of(&self, held: &Reservation) -> Option<&Lease> {
        let leases = [&self.lease, &self.former].into_iter().flatten();
        leases
            .into_iter()
            .find(|lease| lease.id.window_start == held.lease.window_start)
    }

    fn lease_of_mut(&mut self, held: &Reservation) -> Option<&mut Lease> {
        let leases = [&mut self.lease, &mut self.former].into_iter().flatten();
        leases
            .into_iter()
            .find(|lease| lease.id.window_start == held.lease.window_start)
    }
}

#[cfg(test)]
mod tests;
