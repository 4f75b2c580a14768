//! Budgets that come, change and go while the ledger is in use.

use sekisho_domain::Budget;
use sekisho_domain::budget::MOST_LIMIT;

use super::{BudgetIndex, Ledger, Told};

impl Ledger {
    /// Adds a budget, or gives the one of the same counter another limit: what a counter
    /// counts never changes. A limit below what has been settled and granted is exceeded by
    /// that much until leases come back; nothing more is granted meanwhile.
    pub fn put(&mut self, budget: Budget) -> BudgetIndex {
        // Figures are kept as signed 64-bit integers in the database.
        let limit = budget.limit.min(MOST_LIMIT);
        if let Some(index) = self.index(budget.id.as_str()) {
            self.set_limit(index, limit);
            if let Some(known) = self.budgets.get_mut(index.0) {
                known.mode = budget.mode;
            }
            return index;
        }
        let index = BudgetIndex(self.budgets.len());
        self.covering.insert(&budget.payer, &budget.subject, index);
        self.by_name.insert(budget.id.clone(), index);
        self.budgets.push(Budget { limit, ..budget });
        index
    }

    fn set_limit(&mut self, index: BudgetIndex, limit: u64) {
        let Some(budget) = self.budgets.get_mut(index.0) else {
            return;
        };
        if std::mem::replace(&mut budget.limit, limit) == limit {
            return;
        }
        let mut changed = Vec::new();
        for (key, window) in &mut self.windows {
            if key.budget == index {
                window.excess = window.spent().saturating_sub(limit);
                window.told = Told::default();
                changed.push(*key);
            }
        }
        for key in changed {
            self.note_levels(key);
        }
    }

    /// Takes a budget out, by the name of its counter: it covers no further call and grants
    /// nothing. Calls under way end as they began.
    pub fn remove(&mut self, counter: &str) {
        let Some(index) = self.by_name.remove(counter) else {
            return;
        };
        if let Some(budget) = self.budgets.get(index.0) {
            self.covering.remove(&budget.payer, &budget.subject, index);
        }
    }
}
