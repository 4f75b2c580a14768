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

    /// Notes how much is set aside by now for a call under way: of the leases of the same
    /// holders, and else of what remains of the budget. Only the VM that answers for the call can
    /// do so; that of a call that has ended changes nothing, nor does saying it again.
    pub fn extend(&mut self, id: &RecordId, vm: VmId, asked: &[Asked]) {
        let Some(call) = self.open.get(id).filter(|call| call.vm == vm) else {
            return;
        };
        let mut grown: Vec<(usize, Held)> = Vec::new();
        for asked in asked {
            let Some(budget) = self.index(asked.budget.as_str()) else {
                continue;
            };
            let is_it = |held: &Held| held.holder == asked.holder && held.key.budget == budget;
            let Some(at) = call.held.iter().position(is_it) else {
                continue;
            };
            if let Some(held) = call.held.get(at) {
                let amount = asked.amount.saturating_sub(held.amount);
                grown.push((at, Held { amount, ..*held }));
            }
        }
        for (at, more) in grown {
            let amount = self.reserve(&more);
            let call = self.open.get_mut(id);
            if let Some(held) = call.and_then(|call| call.held.get_mut(at)) {
                held.amount = held.amount.saturating_add(amount);
            }
        }
        self.touched.calls.insert(*id);
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

#[cfg(test)]
mod tests {
    use sekisho_domain::{Budget, Meter, Mode, Payer, Subject, Tokens};

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
    const HOLDER: HolderId = HolderId([1; 16]);
    const VM: VmId = VmId([1; 16]);
    const CALL: RecordId = RecordId([7; 16]);

    /// A holder has 60 of a budget of 100, 20 of which are set aside for a call.
    fn under_way() -> (Ledger, WindowKey) {
        let mut ledger = Ledger::empty("UTC").unwrap();
        let index = ledger.put(Budget {
            id: "b".into(),
            payer: Payer::Organisation,
            subject: Subject::Everything,
            meter: Meter::OutputTokens,
            window: None,
            limit: 100,
            mode: Mode::Strict,
        });
        let (key, window) = ledger.window_at(index, NOW).unwrap();
        ledger.load_window(key, window, 0);
        ledger.connect(HOLDER, VM, true, NOW);
        ledger.grant(HOLDER, &[("b", 60)], false, NOW).unwrap();
        let admit = Admit {
            id: CALL,
            vm: VM,
            call: Covered::default(),
            at: NOW,
            asked: &[asked(20)],
            worst: Usage::default(),
            worst_cost: Micros(0),
            binding: true,
        };
        ledger.admit(&admit).unwrap();
        (ledger, key)
    }

    fn asked(amount: u64) -> Asked {
        Asked {
            holder: HOLDER,
            budget: "b".into(),
            window_start: UnixMillis(0),
            amount,
        }
    }

    /// Free, reserved, and leased by all.
    fn figures(ledger: &Ledger, key: WindowKey) -> (u64, u64, u64) {
        assert_eq!(ledger.contradiction(), None);
        let account = ledger.account(HOLDER, key).copied().unwrap_or_default();
        let leased = ledger.window(&key).unwrap().leased;
        (account.free, account.reserved, leased)
    }

    fn output(tokens: u64) -> Usage {
        Usage {
            output: Tokens(tokens),
            ..Usage::default()
        }
    }

    #[test]
    fn what_is_set_aside_for_an_answer_grows_from_the_lease_and_saying_it_again_changes_nothing() {
        let (mut ledger, key) = under_way();
        for _ in 0..3 {
            ledger.extend(&CALL, VM, &[asked(50)]);
            assert_eq!(figures(&ledger, key), (10, 50, 60));
        }
        ledger.extend(&CALL, VM, &[asked(30)]);
        assert_eq!(figures(&ledger, key), (10, 50, 60));
        // The holder is gone: what was set aside stays.
        ledger.gone(HOLDER);
        assert_eq!(figures(&ledger, key), (0, 50, 50));
        let charges = ledger.complete(&CALL, &output(55), Micros(0), NOW).unwrap();
        assert_eq!((charges[0].amount, charges[0].excess), (55, 5));
        assert_eq!(figures(&ledger, key), (0, 0, 0));
    }

    #[test]
    fn it_grows_by_no_more_than_there_is() {
        let (mut ledger, key) = under_way();
        ledger.extend(&CALL, VM, &[asked(1_000)]);
        assert_eq!(figures(&ledger, key), (0, 100, 100));
        ledger.complete(&CALL, &output(30), Micros(0), NOW);
        assert_eq!(figures(&ledger, key), (70, 0, 70));
    }

    #[test]
    fn nobody_else_can_set_anything_aside_nor_for_a_call_that_has_ended() {
        let (mut ledger, key) = under_way();
        ledger.extend(&CALL, VmId([2; 16]), &[asked(50)]);
        assert_eq!(figures(&ledger, key), (40, 20, 60));
        ledger.complete(&CALL, &output(20), Micros(0), NOW);
        ledger.extend(&CALL, VM, &[asked(50)]);
        assert_eq!(figures(&ledger, key), (40, 0, 40));
    }
}
