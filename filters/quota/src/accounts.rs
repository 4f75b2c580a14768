//! Leases in a worker's memory.

use std::collections::HashMap;

use sekisho_domain::{BudgetId, Meter, Micros, UnixMillis, Usage};

/// How long a free lease may lie idle before it goes back, milliseconds.
const IDLE_MILLIS: u64 = 3_000;
/// A lease is renewed ahead only while at least so many times of it are left for everybody:
/// near a budget's end nobody holds more than it needs.
const PLENTY: u64 = 4;

/// The name under which the sidecar knows this worker's present leases.
pub type HolderId = [u8; 16];

/// An amount that a budget must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Which budget.
    pub budget: BudgetId,
    /// What it counts.
    pub meter: Meter,
    /// How much, in its unit.
    pub amount: u64,
}

/// A lease as the sidecar granted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Which budget.
    pub budget: BudgetId,
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

/// A part of a lease set aside for one call.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reservation {
    /// Whose lease it is.
    pub holder: HolderId,
    /// Which budget.
    pub budget: BudgetId,
    /// What it counts.
    pub meter: Meter,
    /// Start of its window.
    pub window_start: UnixMillis,
    /// How much.
    pub amount: u64,
}

impl Reservation {
    /// How much of the budget a call took that used this.
    #[must_use]
    pub fn used(&self, usage: &Usage, cost: Micros) -> u64 {
        self.meter.amount(usage, cost)
    }
}

/// The leases do not cover a call: what the sidecar must be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall(pub Vec<Demand>);

/// Where a budget stands, as far as this worker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it counts.
    pub limit: u64,
    /// What is left: free here, and for everybody at the last grant.
    pub remaining: u64,
    /// When it starts anew.
    pub window_end: UnixMillis,
}

#[derive(Clone, Debug)]
struct Account {
    window_start: UnixMillis,
    window_end: UnixMillis,
    free: u64,
    limit: u64,
    remaining: u64,
    last_used: UnixMillis,
    /// The last grant.
    granted: u64,
    /// More was asked for, and the answer has not come.
    renewing: bool,
}

impl Account {
    /// Whether to ask for more before calls have to wait for it.
    const fn is_low(&self) -> bool {
        !self.renewing && self.free < self.granted / 2 && self.remaining / PLENTY >= self.granted
    }
}

/// All leases of this worker.
#[derive(Debug, Default)]
pub struct Accounts {
    holder: HolderId,
    by_budget: HashMap<BudgetId, Account>,
    renewals: Vec<Demand>,
}

impl Accounts {
    /// Forgets every lease; those to come belong to `holder`.
    pub fn restart(&mut self, holder: HolderId) {
        self.holder = holder;
        self.by_budget.clear();
        self.renewals.clear();
    }

    /// Adds a lease. A lease of another window than the one at hand replaces it: windows
    /// only move forward.
    pub fn add(&mut self, grant: Grant, now: UnixMillis) {
        let account = self
            .by_budget
            .entry(grant.budget)
            .or_insert_with(|| Account {
                window_start: grant.window_start,
                window_end: grant.window_end,
                free: 0,
                limit: grant.limit,
                remaining: grant.remaining,
                last_used: now,
                granted: 0,
                renewing: false,
            });
        if account.window_start != grant.window_start {
            account.free = 0;
        }
        account.window_start = grant.window_start;
        account.window_end = grant.window_end;
        account.free = account.free.saturating_add(grant.amount);
        account.limit = grant.limit;
        account.remaining = grant.remaining;
        account.last_used = now;
        account.granted = grant.amount;
        account.renewing = false;
    }

    /// What to ask for so that later calls need not wait: leases of which calls have used
    /// more than half. Each is named once until more of it comes.
    pub fn take_renewals(&mut self) -> Vec<Demand> {
        std::mem::take(&mut self.renewals)
    }

    /// Sets all demands aside, or none.
    ///
    /// # Errors
    /// [`Shortfall`] with what is missing: what is free here is not asked for again, so that
    /// a budget can be used to its end.
    pub fn reserve(
        &mut self,
        demands: &[Demand],
        now: UnixMillis,
    ) -> Result<Vec<Reservation>, Shortfall> {
        let short: Vec<Demand> = demands
            .iter()
            .filter(|demand| !self.covers(demand, now))
            .map(|demand| Demand {
                amount: demand.amount.saturating_sub(self.free(&demand.budget, now)),
                ..demand.clone()
            })
            .collect();
        if !short.is_empty() {
            return Err(Shortfall(short));
        }
        let holder = self.holder;
        let renewals = &mut self.renewals;
        let take = |demand: &Demand| {
            let account = self.by_budget.get_mut(&demand.budget)?;
            account.free = account.free.checked_sub(demand.amount)?;
            account.last_used = now;
            if account.is_low() {
                account.renewing = true;
                renewals.push(demand.clone());
            }
            Some(Reservation {
                holder,
                budget: demand.budget.clone(),
                meter: demand.meter,
                window_start: account.window_start,
                amount: demand.amount,
            })
        };
        Ok(demands.iter().filter_map(take).collect())
    }

    fn free(&self, budget: &BudgetId, now: UnixMillis) -> u64 {
        self.by_budget
            .get(budget)
            .filter(|account| now < account.window_end)
            .map_or(0, |account| account.free)
    }

    fn covers(&self, demand: &Demand, now: UnixMillis) -> bool {
        self.by_budget
            .get(&demand.budget)
            .is_some_and(|account| now < account.window_end && account.free >= demand.amount)
    }

    /// Frees the part of a reservation that was not used. Used more than was reserved: the
    /// lease shrinks by the difference.
    pub fn settle(&mut self, reservation: &Reservation, used: u64) {
        if reservation.holder != self.holder {
            return; // of a lease that was given up; the sidecar has it
        }
        let Some(account) = self.by_budget.get_mut(&reservation.budget) else {
            return;
        };
        if account.window_start == reservation.window_start {
            account.free = account
                .free
                .saturating_add(reservation.amount)
                .saturating_sub(used);
        }
    }

    /// Takes out what nobody has used for a while, so that other workers can have it.
    pub fn take_idle(&mut self, now: UnixMillis) -> Vec<Reservation> {
        let mut idle = Vec::new();
        self.by_budget.retain(|_, account| now < account.window_end);
        for (budget, account) in &mut self.by_budget {
            if account.free > 0 && now.since(account.last_used) >= IDLE_MILLIS {
                idle.push(Reservation {
                    holder: self.holder,
                    budget: budget.clone(),
                    meter: Meter::Requests,
                    window_start: account.window_start,
                    amount: std::mem::take(&mut account.free),
                });
            }
        }
        idle
    }

    /// Where a budget stands.
    #[must_use]
    pub fn standing(&self, budget: &BudgetId, now: UnixMillis) -> Option<Standing> {
        let account = self
            .by_budget
            .get(budget)
            .filter(|account| now < account.window_end)?;
        Some(Standing {
            limit: account.limit,
            remaining: account
                .remaining
                .saturating_add(account.free)
                .min(account.limit),
            window_end: account.window_end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(60_000);

    fn grant(budget: &str, amount: u64) -> Grant {
        Grant {
            budget: budget.into(),
            window_start: UnixMillis(60_000),
            window_end: UnixMillis(120_000),
            amount,
            limit: 100,
            remaining: 50,
        }
    }

    fn demand(budget: &str, amount: u64) -> Demand {
        Demand {
            budget: budget.into(),
            meter: Meter::Tokens,
            amount,
        }
    }

    fn accounts(grants: &[Grant]) -> Accounts {
        let mut accounts = Accounts::default();
        accounts.restart([7; 16]);
        for grant in grants {
            accounts.add(grant.clone(), NOW);
        }
        accounts
    }

    #[test]
    fn a_call_fits_every_budget_or_takes_from_none() {
        let mut accounts = accounts(&[grant("a", 10), grant("b", 5)]);
        let both = [demand("a", 10), demand("b", 6)];
        assert_eq!(
            accounts.reserve(&both, NOW),
            Err(Shortfall(vec![demand("b", 1)]))
        );
        assert_eq!(accounts.reserve(&[demand("a", 10)], NOW).unwrap().len(), 1);
        assert!(accounts.reserve(&[demand("a", 1)], NOW).is_err());
    }

    #[test]
    fn what_was_not_used_is_free_again_and_what_was_used_is_gone() {
        let mut accounts = accounts(&[grant("a", 10)]);
        let held = accounts.reserve(&[demand("a", 10)], NOW).unwrap();
        accounts.settle(&held[0], 4);
        assert!(accounts.reserve(&[demand("a", 7)], NOW).is_err());
        assert!(accounts.reserve(&[demand("a", 6)], NOW).is_ok());
    }

    #[test]
    fn a_lease_ends_with_its_window() {
        let mut accounts = accounts(&[grant("a", 10)]);
        let held = accounts.reserve(&[demand("a", 4)], NOW).unwrap();
        assert!(
            accounts
                .reserve(&[demand("a", 1)], UnixMillis(120_000))
                .is_err()
        );
        let next = Grant {
            window_start: UnixMillis(120_000),
            window_end: UnixMillis(180_000),
            ..grant("a", 3)
        };
        accounts.add(next, UnixMillis(120_000));
        accounts.settle(&held[0], 0); // of the former window: frees nothing
        assert!(
            accounts
                .reserve(&[demand("a", 4)], UnixMillis(120_001))
                .is_err()
        );
        assert!(
            accounts
                .reserve(&[demand("a", 3)], UnixMillis(120_001))
                .is_ok()
        );
    }

    #[test]
    fn nothing_is_left_of_a_given_up_holders_leases() {
        let mut accounts = accounts(&[grant("a", 10)]);
        let held = accounts.reserve(&[demand("a", 5)], NOW).unwrap();
        accounts.restart([8; 16]);
        accounts.settle(&held[0], 0);
        assert!(accounts.reserve(&[demand("a", 1)], NOW).is_err());
    }

    #[test]
    fn idle_leases_go_back_once() {
        let mut accounts = accounts(&[grant("a", 10)]);
        assert!(
            accounts
                .take_idle(NOW.plus_millis(IDLE_MILLIS - 1))
                .is_empty()
        );
        let idle = accounts.take_idle(NOW.plus_millis(IDLE_MILLIS));
        assert_eq!((idle.len(), idle[0].amount), (1, 10));
        assert!(accounts.take_idle(NOW.plus_millis(IDLE_MILLIS)).is_empty());
        assert!(accounts.reserve(&[demand("a", 1)], NOW).is_err());
    }

    #[test]
    fn a_lease_is_renewed_once_when_half_of_it_is_used_while_there_is_plenty() {
        let plenty = Grant {
            remaining: 400,
            ..grant("a", 100)
        };
        let mut accounts = accounts(std::slice::from_ref(&plenty));
        let mut renewals_after = |amount: u64| {
            assert!(accounts.reserve(&[demand("a", amount)], NOW).is_ok());
            accounts.take_renewals()
        };
        assert_eq!(renewals_after(50), []);
        assert_eq!(renewals_after(1), [demand("a", 1)]);
        assert_eq!(renewals_after(1), []);
        accounts.add(plenty, NOW);
        assert_eq!(accounts.reserve(&[demand("a", 100)], NOW).unwrap().len(), 1);
        assert_eq!(accounts.take_renewals(), [demand("a", 100)]);
    }

    #[test]
    fn nothing_is_asked_for_ahead_near_a_budgets_end() {
        let mut accounts = accounts(&[grant("a", 50)]);
        assert!(accounts.reserve(&[demand("a", 40)], NOW).is_ok());
        assert_eq!(accounts.take_renewals(), []);
    }

    #[test]
    fn a_budget_without_a_lease_covers_not_even_nothing() {
        assert!(accounts(&[]).reserve(&[demand("a", 0)], NOW).is_err());
    }
}
