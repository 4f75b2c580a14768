//! The budgets that a worker knows of, and which of them a call falls under.

use std::collections::HashMap;

use sekisho_domain::{BudgetId, Counting, Covered, Covering, Micros, Usage};

use crate::{Accounts, Demand, Slot, Streamed};

/// All budgets, ready to be found by call. Made when a snapshot is adopted and kept up to
/// date by its changes; what a call costs does not depend on how many there are.
#[derive(Debug, Default)]
pub struct Budgets {
    covering: Covering<Slot>,
    known: HashMap<BudgetId, (Counting, Slot)>,
}

impl Budgets {
    /// Adds a budget. What a counter counts never changes; how it follows answers may.
    pub fn insert(&mut self, budget: Counting, accounts: &mut Accounts) {
        let slot = accounts.slot(budget.counter.as_str(), budget.meter);
        accounts.set_mode(slot, budget.mode);
        if self.known.contains_key(&budget.counter) {
            return;
        }
        self.covering.insert(&budget.payer, &budget.subject, slot);
        self.known.insert(budget.counter.clone(), (budget, slot));
    }

    /// Takes a budget out, by the name of its counter.
    pub fn remove(&mut self, counter: &str) {
        if let Some((budget, slot)) = self.known.remove(counter) {
            self.covering.remove(&budget.payer, &budget.subject, slot);
        }
    }

    /// Whether there is a budget of this counter.
    #[must_use]
    pub fn knows(&self, counter: &str) -> bool {
        self.known.contains_key(counter)
    }

    /// What each budget that covers the call must hold for it: the call's worst case, or where
    /// the budget follows answers and this one is `streamed`, what it is estimated to use.
    #[must_use]
    pub fn demands(
        &self,
        call: &Covered<'_>,
        worst: &Usage,
        worst_cost: Micros,
        streamed: Option<&Streamed>,
        accounts: &Accounts,
    ) -> Vec<Demand> {
        let mut demands = Vec::new();
        self.covering.of(call, |slot| {
            if let Some(meter) = accounts.meter(slot) {
                let amount = match streamed.zip(accounts.stream_cut(slot)) {
                    Some((streamed, cut)) => streamed.amount(meter, streamed.step(cut)),
                    None => meter.reserved(worst, worst_cost),
                };
                demands.push(Demand { slot, amount });
            }
        });
        demands
    }

    /// Names every budget that covers the call.
    pub fn covering(&self, call: &Covered<'_>, found: impl FnMut(Slot)) {
        self.covering.of(call, found);
    }
}
