//! Calls: reserved when admitted, charged when ended.

use std::collections::{HashMap, HashSet};

use sekisho_domain::{BudgetId, Covered, Micros, RecordId, UnixMillis, Usage};

use super::{BudgetIndex, HolderId, Ledger, VmId, WindowKey};

/// A reservation as the worker reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Whose lease.
    pub holder: HolderId,
    /// Of which budget.
    pub budget: BudgetId,
    /// In which window.
    pub window_start: UnixMillis,
    /// How much.
    pub amount: u64,
}

/// A call that asks to be admitted.
#[derive(Clone, Debug)]
pub struct Admit<'a> {
    /// The call.
    pub id: RecordId,
    /// Whose VM answers for its end.
    pub vm: VmId,
    /// What decides by which budgets it is covered.
    pub call: Covered<'a>,
    /// When it was admitted.
    pub at: UnixMillis,
    /// What was set aside for it.
    pub asked: &'a [Asked],
    /// The most that it can use.
    pub worst: Usage,
    /// The most that it can cost.
    pub worst_cost: Micros,
    /// Whether it may still be refused; if not, what is not covered is only noted.
    pub binding: bool,
}

/// What is set aside for a call in one budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whose lease.
    pub holder: HolderId,
    /// Of what.
    pub key: WindowKey,
    /// How much.
    pub amount: u64,
}

/// A call that was admitted and has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    /// Whose VM answers for its end.
    pub vm: VmId,
    /// What is set aside; also with 0, for budgets that only charge.
    pub held: Vec<Held>,
}

/// What a call that has ended took from one budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// From which.
    pub budget: BudgetId,
    /// From which window.
    pub window_start: UnixMillis,
    /// How much, in the budget's unit.
    pub amount: u64,
    /// The part that was not reserved.
    pub excess: u64,
}

/// No lease and no remainder covers a reservation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("budget `{budget}` does not cover the call")]
pub struct NotCovered {
    /// Which budget.
    pub budget: BudgetId,
}

impl Ledger {
    /// The windows that must be loaded before [`Ledger::admit`]: those that the
    /// reservations name, and those that cover the call at that time.
    pub fn windows_of<'a>(
        &'a self,
        call: &Covered<'_>,
        at: UnixMillis,
        asked: &'a [Asked],
    ) -> impl Iterator<Item = WindowKey> + 'a {
        let named = asked.iter().filter_map(move |a| self.resolve(a, at));
        let covering = self.covering(call).into_iter();
        named.chain(covering.filter_map(move |index| Some(self.window_at(index, at)?.0)))
    }

    /// The window that a reservation names, or the one at `at` if it names none that exists.
    fn resolve(&self, asked: &Asked, at: UnixMillis) -> Option<WindowKey> {
        let index = self.index(asked.budget.as_str())?;
        let (named, _) = self.window_at(index, asked.window_start)?;
        if named.start == asked.window_start {
            return Some(named);
        }
        Some(self.window_at(index, at)?.0)
    }

    /// Reserves for a call. What the holder's account lacks is taken from what remains of
    /// the budget. Budgets that cover the call and that the worker did not name are reserved
    /// from as far as they go. A call that is open already changes nothing.
    ///
    /// # Errors
    /// [`NotCovered`], for a binding call; nothing has changed then.
    pub fn admit(&mut self, call: &Admit<'_>) -> Result<(), NotCovered> {
        if self.open.contains_key(&call.id) {
            return Ok(());
        }
        let mut wanted: Vec<Held> = Vec::new();
        let mut named: HashSet<BudgetIndex> = HashSet::new();
        for asked in call.asked {
            let Some(key) = self.resolve(asked, call.at) else {
                continue;
            };
            named.insert(key.budget);
            wanted.push(Held {
                holder: asked.holder,
                key,
                amount: asked.amount,
            });
        }
        if call.binding {
            self.covers(&wanted)?;
        }
        for index in self.covering(&call.call) {
            let (false, Some(budget), Some((key, _))) = (
                named.contains(&index),
                self.budget(index),
                self.window_at(index, call.at),
            ) else {
                continue;
            };
            wanted.push(Held {
                holder: HolderId::SIDECAR,
                key,
                amount: budget.meter.reserved(&call.worst, call.worst_cost),
            });
        }
        for held in &mut wanted {
            held.amount = self.reserve(held);
        }
        self.touched.calls.insert(call.id);
        self.vms.entry(call.vm).or_default().open.insert(call.id);
        let open = OpenCall {
            vm: call.vm,
            held: wanted,
        };
        self.open.insert(call.id, open);
        Ok(())
    }

    /// Whether accounts and remainders together cover all of it.
    fn covers(&self, wanted: &[Held]) -> Result<(), NotCovered> {
        let mut free: HashMap<(HolderId, WindowKey), u64> = HashMap::new();
        let mut remaining: HashMap<WindowKey, u64> = HashMap::new();
        for held in wanted {
            let place = (held.holder, held.key);
            let free = free
                .entry(place)
                .or_insert_with(|| self.accounts.get(&place).map_or(0, |a| a.free));
            let remaining = remaining
                .entry(held.key)
                .or_insert_with(|| self.remaining(held.key));
            let from_free = held.amount.min(*free);
            *free -= from_free;
            match remaining.checked_sub(held.amount - from_free) {
                Some(rest) => *remaining = rest,
                None => {
                    let budget = self.budget(held.key.budget);
                    let budget = budget.map(|budget| budget.id.clone()).unwrap_or_default();
                    return Err(NotCovered { budget });
                }
            }
        }
        Ok(())
    }

    fn remaining(&self, key: WindowKey) -> u64 {
        match (self.window(&key), self.budget(key.budget)) {
            (Some(window), Some(budget)) => window.remaining(budget.limit),
            _ => 0,
        }
    }

    /// Sets aside as much of it as there is; returns how much that was.
    fn reserve(&mut self, held: &Held) -> u64 {
        let place = (held.holder, held.key);
        let free = self.accounts.get(&place).map_or(0, |account| account.free);
        let from_free = held.amount.min(free);
        let fresh = (held.amount - from_free).min(self.remaining(held.key));
        let amount = from_free.saturating_add(fresh);
        if amount > 0 {
            self.adjust(held.holder, held.key, |account| {
                account.free -= from_free;
                account.reserved = account.reserved.saturating_add(amount);
            });
        }
        amount
    }

    /// Ends a call: charges what it used and frees the rest of what was set aside, for
    /// its holder if that is still connected. `None`: no such call is open.
    pub fn complete(
        &mut self,
        id: &RecordId,
        usage: &Usage,
        cost: Micros,
        now: UnixMillis,
    ) -> Option<Vec<Charge>> {
        let call = self.close(id)?;
        let mut reserved: HashMap<BudgetIndex, u64> = HashMap::new();
        for held in &call.held {
            let sum = reserved.entry(held.key.budget).or_default();
            *sum = sum.saturating_add(held.amount);
        }
        let mut charges = Vec::with_capacity(call.held.len());
        for held in call.held {
            // Charged once, however many leases the reservation was pieced together from.
            let reserved = reserved.remove(&held.key.budget);
            let used = match (self.budget(held.key.budget), reserved) {
                (Some(budget), Some(_)) => budget.meter.used(usage, cost),
                _ => 0,
            };
            self.free_again(&held, held.amount.saturating_sub(used), now);
            charges.extend(self.settle(held.key, used, reserved.unwrap_or(0)));
        }
        Some(charges.into_iter().filter(|c| c.amount > 0).collect())
    }

    /// Takes a call back that did not go on after all: nothing is charged. Whether such a
    /// call was open.
    pub fn cancel(&mut self, id: &RecordId, now: UnixMillis) -> bool {
        let Some(call) = self.close(id) else {
            return false;
        };
        for held in call.held {
            self.free_again(&held, held.amount, now);
        }
        true
    }

    fn close(&mut self, id: &RecordId) -> Option<OpenCall> {
        let call = self.open.remove(id)?;
        self.touched.calls.insert(*id);
        if let Some(vm) = self.vms.get_mut(&call.vm) {
            vm.open.remove(id);
        }
        Some(call)
    }

    /// Ends a reservation; `unused` of it stays with its holder if that is connected and
    /// the window is not over.
    fn free_again(&mut self, held: &Held, unused: u64, now: UnixMillis) {
        let over = self
            .window(&held.key)
            .is_none_or(|window| window.end <= now);
        let kept = if self.is_live(held.holder) && !over {
            unused
        } else {
            0
        };
        if held.amount > 0 {
            self.adjust(held.holder, held.key, |account| {
                account.reserved = account.reserved.saturating_sub(held.amount);
                let owed = kept.min(account.owed);
                account.owed -= owed;
                account.free = account.free.saturating_add(kept - owed);
            });
        }
    }

    /// Charges a call that ended without ever having been admitted here. The windows that
    /// cover it at `at` must be loaded.
    pub fn complete_unadmitted(
        &mut self,
        call: &Covered<'_>,
        at: UnixMillis,
        usage: &Usage,
        cost: Micros,
    ) -> Vec<Charge> {
        let mut charges = Vec::new();
        for index in self.covering(call) {
            let (Some(budget), Some((key, _))) = (self.budget(index), self.window_at(index, at))
            else {
                continue;
            };
            let used = budget.meter.used(usage, cost);
            charges.extend(self.settle(key, used, 0));
        }
        charges.into_iter().filter(|c| c.amount > 0).collect()
    }

    fn settle(&mut self, key: WindowKey, used: u64, reserved: u64) -> Option<Charge> {
        let budget = self.budget(key.budget)?.id.clone();
        let limit = self.budget(key.budget)?.limit;
        let window = self.windows.get_mut(&key)?;
        window.settled = window.settled.saturating_add(used);
        // Over the reservation may still be within the limit.
        window.excess = window.excess.max(window.spent().saturating_sub(limit));
        self.touched.windows.insert(key);
        self.note_levels(key);
        Some(Charge {
            budget,
            window_start: key.start,
            amount: used,
            excess: used.saturating_sub(reserved),
        })
    }
}
