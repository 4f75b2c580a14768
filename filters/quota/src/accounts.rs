//! Leases in a worker's memory.

mod following;

use std::collections::HashMap;
use std::rc::Rc;

use sekisho_domain::{Meter, Mode, StreamCut, UnixMillis};

pub use following::Dry;

use crate::reservation::{HolderId, LeaseId, Reservation};

/// How long a free lease may lie idle before it goes back, milliseconds.
const IDLE_MILLIS: u64 = 3_000;
/// For how long after a recall whatever becomes free goes back at once, milliseconds.
const RECALL_MILLIS: u64 = 1_000;
/// A lease is renewed ahead only while at least so many times of it are left for everybody:
/// near a budget's end nobody holds more than it needs.
const PLENTY: u64 = 4;

/// The place of a budget in this VM, for as long as the VM lives. The default is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(u32);

impl Default for Slot {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

/// An amount that a budget must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Which budget.
    pub slot: Slot,
    /// How much, in its unit.
    pub amount: u64,
}

/// A lease as the sidecar granted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant<'a> {
    /// Which budget.
    pub budget: &'a str,
    /// Start of its window.
    pub window_start: UnixMillis,
    /// First moment after it.
    pub window_end: UnixMillis,
    /// How much more may be spent.
    pub amount: u64,
    /// The budget's limit.
    pub limit: u64,
    /// What is left for everybody after this grant.
    pub remaining: u64,
}

/// A free part of a lease that goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    /// Of which budget.
    pub budget: Rc<str>,
    /// Start of its window.
    pub window_start: UnixMillis,
    /// How much.
    pub amount: u64,
}

/// The leases do not cover a call: what the sidecar must be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall(pub Vec<Demand>);

/// Where a budget stands, as far as this worker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it counts.
    pub meter: Meter,
    /// The most that a window may take.
    pub limit: u64,
    /// What is left: free here, and for everybody at the last grant.
    pub remaining: u64,
    /// When it starts anew.
    pub window_end: UnixMillis,
}

#[derive(Clone, Debug)]
struct Account {
    budget: Rc<str>,
    meter: Meter,
    /// How it follows answers that stream, if it does.
    cut: Option<StreamCut>,
    lease: Option<Lease>,
    /// The lease of the window before: answers that began in it go on to use it.
    former: Option<Lease>,
}

#[derive(Clone, Debug)]
struct Lease {
    id: Rc<LeaseId>,
    window_end: UnixMillis,
    free: u64,
    limit: u64,
    remaining: u64,
    last_used: UnixMillis,
    /// The last grant.
    granted: u64,
    /// More was asked for, and the answer has not come.
    renewing: bool,
    /// Until then what becomes free goes back at once.
    recalled_until: UnixMillis,
}

impl Lease {
    /// Whether to ask for more before calls have to wait for it.
    const fn is_low(&self) -> bool {
        !self.renewing && self.free < self.granted / 2 && self.remaining / PLENTY >= self.granted
    }
}

impl Account {
    /// The window is over: only answers that began in it may still use what is free.
    fn retire(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.former = Some(lease);
        }
    }
}

/// All leases of this worker.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    holder: HolderId,
    slots: HashMap<Rc<str>, Slot>,
    accounts: Vec<Account>,
    renewals: Vec<Demand>,
    returns: Vec<Return>,
}

impl Accounts {
    /// The place of a budget, by the name of its counter.
    pub fn slot(&mut self, budget: &str, meter: Meter) -> Slot {
        if let Some(slot) = self.slots.get(budget) {
            return *slot;
        }
        let slot = Slot(u32::try_from(self.accounts.len()).unwrap_or(u32::MAX));
        let budget: Rc<str> = budget.into();
        self.slots.insert(Rc::clone(&budget), slot);
        self.accounts.push(Account {
            budget,
            meter,
            cut: None,
            lease: None,
            former: None,
        });
        slot
    }

    /// Sets how a budget deals with answers that stream, of calls from then on.
    pub(crate) fn set_mode(&mut self, slot: Slot, mode: Mode) {
        let at = usize::try_from(slot.0).unwrap_or(usize::MAX);
        if let Some(account) = self.accounts.get_mut(at) {
            account.cut = mode.stream_cut();
        }
    }

    /// How a budget follows answers that stream, if it does.
    #[must_use]
    pub fn stream_cut(&self, slot: Slot) -> Option<StreamCut> {
        self.account(slot)?.cut
    }

    /// The place of a budget that has one.
    #[must_use]
    pub fn find(&self, budget: &str) -> Option<Slot> {
        self.slots.get(budget).copied()
    }

    /// The name of a budget's counter.
    #[must_use]
    pub fn budget(&self, slot: Slot) -> &str {
        self.account(slot).map_or("", |account| &*account.budget)
    }

    /// What a budget counts.
    #[must_use]
    pub fn meter(&self, slot: Slot) -> Option<Meter> {
        self.account(slot).map(|account| account.meter)
    }

    fn account(&self, slot: Slot) -> Option<&Account> {
        self.accounts.get(usize::try_from(slot.0).ok()?)
    }

    /// Forgets every lease; those to come belong to `holder`.
    pub fn restart(&mut self, holder: HolderId) {
        self.holder = holder;
        for account in &mut self.accounts {
            account.lease = None;
            account.former = None;
        }
        self.renewals.clear();
        self.returns.clear();
    }

    /// Adds a lease. A lease of another window than the one at hand replaces it: windows
    /// only move forward.
    pub fn add(&mut self, grant: &Grant<'_>, now: UnixMillis) {
        let Some(account) = self
            .slots
            .get(grant.budget)
            .and_then(|slot| self.accounts.get_mut(usize::try_from(slot.0).ok()?))
        else {
            self.returns.push(Return {
                budget: grant.budget.into(),
                window_start: grant.window_start,
                amount: grant.amount,
            });
            return;
        };
        let same = account.lease.as_ref();
        let same = same.filter(|lease| lease.id.window_start == grant.window_start);
        let (id, free, recalled_until) = match same {
            Some(lease) => (Rc::clone(&lease.id), lease.free, lease.recalled_until),
            None => {
                let id = LeaseId::new(self.holder, grant.budget, grant.window_start);
                account.retire();
                (Rc::new(id), 0, UnixMillis(0))
            }
        };
        account.lease = Some(Lease {
            id,
            window_end: grant.window_end,
            free: free.saturating_add(grant.amount),
            limit: grant.limit,
            remaining: grant.remaining,
            last_used: now,
            granted: grant.amount,
            renewing: false,
            recalled_until,
        });
    }

    /// What to ask for so that later calls need not wait: leases of which calls have used
    /// more than half. Each is named once until more of it comes.
    pub fn take_renewals(&mut self) -> Vec<Demand> {
        std::mem::take(&mut self.renewals)
    }

    /// What goes back at once.
    pub fn take_returns(&mut self) -> Vec<Return> {
        std::mem::take(&mut self.returns)
    }

    /// Sets all demands aside, or none. A budget is named at most once.
    ///
    /// # Errors
    /// [`Shortfall`] with what is missing: what is free here is not asked for again, so that
    /// a budget can be used to its end.
    pub fn reserve(
        &mut self,
        demands: &[Demand],
        now: UnixMillis,
    ) -> Result<Vec<Reservation>, Shortfall> {
        let is_covered = |demand: &Demand| {
            let free = self.free(demand.slot, now);
            free.is_some_and(|free| free >= demand.amount)
        };
        if !demands.iter().all(is_covered) {
            let short = demands.iter().filter(|demand| !is_covered(demand));
            let missing = short.map(|demand| Demand {
                slot: demand.slot,
                amount: demand
                    .amount
                    .saturating_sub(self.free(demand.slot, now).unwrap_or(0)),
            });
            return Err(Shortfall(missing.collect()));
        }
        let mut reserved = Vec::with_capacity(demands.len());
        for demand in demands {
            let at = usize::try_from(demand.slot.0).unwrap_or(usize::MAX);
            let Some(account) = self.accounts.get_mut(at) else {
                continue;
            };
            let Some(lease) = &mut account.lease else {
                continue;
            };
            lease.free = lease.free.saturating_sub(demand.amount);
            lease.last_used = now;
            if lease.is_low() {
                lease.renewing = true;
                self.renewals.push(*demand);
            }
            reserved.push(Reservation {
                lease: Rc::clone(&lease.id),
                meter: account.meter,
                amount: demand.amount,
                cut: account.cut,
                slot: demand.slot,
            });
        }
        Ok(reserved)
    }

    /// What is free of a lease that is valid.
    fn free(&self, slot: Slot, now: UnixMillis) -> Option<u64> {
        let lease = self.account(slot)?.lease.as_ref()?;
        (now < lease.window_end).then_some(lease.free)
    }

    /// Frees the part of a reservation that was not used. Used more than was reserved: the
    /// lease shrinks by the difference. What was recalled meanwhile goes back.
    pub fn settle(&mut self, reservation: &Reservation, used: u64, now: UnixMillis) {
        if reservation.lease.holder != self.holder {
            return; // of a lease that was given up; the sidecar has it
        }
        let Some(account) = usize::try_from(reservation.slot.0)
            .ok()
            .and_then(|at| self.accounts.get_mut(at))
        else {
            return;
        };
        let Some(lease) = &mut account.lease else {
            return;
        };
        if lease.id.window_start != reservation.lease.window_start {
            return;
        }
        lease.free = lease
            .free
            .saturating_add(reservation.amount)
            .saturating_sub(used);
        if now < lease.recalled_until && lease.free > 0 {
            self.returns.push(Return {
                budget: Rc::clone(&account.budget),
                window_start: lease.id.window_start,
                amount: std::mem::take(&mut lease.free),
            });
        }
    }

    /// The sidecar needs a lease for others: what is free of it goes back, now and for a
    /// while. Says so even if that is nothing, because somebody waits for the answer.
    pub fn recall(&mut self, budget: &str, window_start: UnixMillis, now: UnixMillis) {
        let lease = self
            .slots
            .get(budget)
            .and_then(|slot| self.accounts.get_mut(usize::try_from(slot.0).ok()?))
            .and_then(|account| account.lease.as_mut())
            .filter(|lease| lease.id.window_start == window_start);
        let amount = lease.map_or(0, |lease| {
            lease.recalled_until = now.plus_millis(RECALL_MILLIS);
            std::mem::take(&mut lease.free)
        });
        self.returns.push(Return {
            budget: budget.into(),
            window_start,
            amount,
        });
    }

    /// Takes out what nobody has used for a while, so that other workers can have it.
    pub fn take_idle(&mut self, now: UnixMillis) -> Vec<Return> {
        let mut idle = Vec::new();
        for account in &mut self.accounts {
            let lease = account.lease.as_ref();
            if lease.is_some_and(|lease| now >= lease.window_end) {
                account.retire();
            }
            let Some(lease) = &mut account.lease else {
                continue;
            };
            if lease.free > 0 && now.since(lease.last_used) >= IDLE_MILLIS {
                idle.push(Return {
                    budget: Rc::clone(&account.budget),
                    window_start: lease.id.window_start,
                    amount: std::mem::take(&mut lease.free),
                });
            }
        }
        idle
    }

    /// Where the budget of a reservation stands that was made here.
    #[must_use]
    pub fn standing_of(&self, reservation: &Reservation, now: UnixMillis) -> Option<Standing> {
        self.standing(reservation.slot, now)
    }

    /// Where a budget stands.
    #[must_use]
    pub fn standing(&self, slot: Slot, now: UnixMillis) -> Option<Standing> {
        let account = self.account(slot)?;
        let lease = account
            .lease
            .as_ref()
            .filter(|lease| now < lease.window_end)?;
        Some(Standing {
            meter: account.meter,
            limit: lease.limit,
            remaining: lease.remaining.saturating_add(lease.free).min(lease.limit),
            window_end: lease.window_end,
        })
    }
}

#[cfg(test)]
mod tests;
