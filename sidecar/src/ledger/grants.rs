//! Holders: how they come, get leases, give them back and go.

use std::collections::BTreeMap;

use sekisho_domain::{BudgetId, RecordId, UnixMillis};

use super::{Holder, HolderId, Ledger, Vm, VmId, Window, WindowKey};

/// How many times what it needs a holder is granted at most: enough that few calls wait
/// for a lease, little enough that an idle holder keeps little from the others.
const MOST_NEEDS: u64 = 64;

/// A lease that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Of which budget.
    pub budget: BudgetId,
    /// In which window.
    pub window: Window,
    /// How much more the holder may spend.
    pub amount: u64,
    /// The budget's limit.
    pub limit: u64,
    /// What is left for everybody after this grant.
    pub remaining: u64,
}

/// A budget that cannot give what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// Which.
    pub budget: BudgetId,
    /// When it starts anew; 0: never, there is no such budget.
    pub window_end: UnixMillis,
    /// Its limit.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
}

impl WindowKey {
    pub(super) const FIRST: Self = Self {
        budget: super::BudgetIndex(0),
        start: UnixMillis(0),
    };
}

impl Ledger {
    /// A stream was opened. `leasing`: it decides by budgets.
    pub fn connect(&mut self, holder: HolderId, vm: VmId, leasing: bool, now: UnixMillis) {
        let live = Holder {
            vm,
            live: true,
            leasing,
        };
        self.holders.insert(holder, live);
        self.touched.holders.insert(holder);
        self.seen(vm, now);
    }

    /// A stream was closed: its holder gets nothing more, and keeps what is free only so
    /// that records still under way find their leases.
    pub fn disconnect(&mut self, holder: HolderId) {
        if let Some(known) = self.holders.get_mut(&holder) {
            known.live = false;
        }
    }

    /// The VM says that nothing free is left with this former holder. Open reservations stay.
    pub fn gone(&mut self, holder: HolderId) {
        if self.holders.remove(&holder).is_some() {
            self.touched.holders.insert(holder);
        }
        self.release_free(holder);
    }

    /// Whether this holder's stream is open.
    #[must_use]
    pub fn is_live(&self, holder: HolderId) -> bool {
        self.holders.get(&holder).is_some_and(|holder| holder.live)
    }

    /// A batch came from this VM.
    pub fn seen(&mut self, vm: VmId, now: UnixMillis) {
        let vm = self.vms.entry(vm).or_default();
        vm.last_seen = vm.last_seen.max(now);
    }

    /// VMs that have been silent for longer than `ttl` milliseconds.
    #[must_use]
    pub fn silent(&self, now: UnixMillis, ttl: u64) -> Vec<VmId> {
        let silent = |vm: &Vm| now.since(vm.last_seen) > ttl;
        let mut vms: Vec<VmId> = self
            .vms
            .iter()
            .filter(|(_, vm)| silent(vm))
            .map(|(id, _)| *id)
            .collect();
        vms.sort();
        vms
    }

    /// Forgets a silent VM: its leases return, its holders go. Returns its open calls,
    /// which the caller must complete.
    #[must_use]
    pub fn expire(&mut self, vm: VmId) -> Vec<RecordId> {
        let holders: Vec<HolderId> = self
            .holders
            .iter()
            .filter(|(_, holder)| holder.vm == vm)
            .map(|(id, _)| *id)
            .collect();
        for holder in holders {
            self.gone(holder);
        }
        let mut open: Vec<RecordId> = self
            .vms
            .remove(&vm)
            .map(|vm| vm.open.into_iter().collect())
            .unwrap_or_default();
        open.sort();
        open
    }

    /// Grants all demands or none. The windows at `now` must be loaded. `ample`: more than
    /// is needed, where there is enough, so that later calls need not ask.
    ///
    /// # Errors
    /// The first budget that cannot give what is needed; nothing has changed then.
    pub fn grant(
        &mut self,
        holder: HolderId,
        demands: &[(&str, u64)],
        ample: bool,
        now: UnixMillis,
    ) -> Result<Vec<Grant>, Exhausted> {
        let mut needs: BTreeMap<&str, u64> = BTreeMap::new();
        for (budget, amount) in demands {
            let need = needs.entry(budget).or_default();
            *need = need.saturating_add(*amount);
        }
        let mut planned = Vec::with_capacity(needs.len());
        for (name, need) in needs {
            planned.push(self.plan(name, need, ample, now)?);
        }
        Ok(planned
            .into_iter()
            .map(|(key, grant)| {
                self.adjust(holder, key, |account| {
                    account.free = account.free.saturating_add(grant.amount);
                });
                grant
            })
            .collect())
    }

    fn plan(
        &self,
        name: &str,
        need: u64,
        ample: bool,
        now: UnixMillis,
    ) -> Result<(WindowKey, Grant), Exhausted> {
        let unknown = || Exhausted {
            budget: BudgetId::from(name),
            window_end: UnixMillis(0),
            limit: 0,
            remaining: 0,
        };
        let index = self.index(name).ok_or_else(unknown)?;
        let budget = self.budget(index).ok_or_else(unknown)?;
        let (key, window) = self.window_at(index, now).ok_or_else(unknown)?;
        let state = self.window(&key).ok_or_else(unknown)?;
        let remaining = state.remaining(budget.limit);
        if need > remaining {
            return Err(Exhausted {
                budget: budget.id.clone(),
                window_end: window.end,
                limit: budget.limit,
                remaining,
            });
        }
        let leasing = self.holders.values().filter(|h| h.live && h.leasing);
        let holders = u64::try_from(leasing.count()).unwrap_or(u64::MAX).max(1);
        let share = remaining / holders.saturating_mul(2);
        let share = if ample { share } else { 0 };
        let amount = need.max(share.min(need.saturating_mul(MOST_NEEDS)));
        let grant = Grant {
            budget: budget.id.clone(),
            window,
            amount,
            limit: budget.limit,
            remaining: remaining.saturating_sub(amount),
        };
        Ok((key, grant))
    }

    /// Other holders that are connected and have something free of this window.
    #[must_use]
    pub fn recallable(&self, key: WindowKey, asking: HolderId) -> Vec<HolderId> {
        let has_free = |holder: HolderId| {
            let account = self.account(holder, key);
            account.is_some_and(|account| account.free > 0)
        };
        let mut others: Vec<HolderId> = self
            .holders
            .iter()
            .filter(|(id, holder)| holder.live && **id != asking && has_free(**id))
            .map(|(id, _)| *id)
            .collect();
        others.sort();
        others
    }

    /// Takes back a free part of a lease. More than is free here was freed by calls whose
    /// records are under way: the rest is taken when they come.
    pub fn give_back(&mut self, holder: HolderId, budget: &str, start: UnixMillis, amount: u64) {
        let Some(budget) = self.index(budget) else {
            return;
        };
        let key = WindowKey { budget, start };
        if self.account(holder, key).is_some() {
            self.adjust(holder, key, |account| {
                let free = amount.min(account.free);
                account.free -= free;
                let owed = account.owed.saturating_add(amount - free);
                account.owed = owed.min(account.reserved);
            });
        }
    }
}
