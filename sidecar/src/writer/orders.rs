//! Changes of budgets that people ask for, and what becomes of events.

use sekisho_domain::Budget;

use crate::events::Author;
use crate::store::budgets::StoredBudget;

/// A budget is to be as it says.
pub struct BudgetOrder {
    /// Its plain name.
    pub id: String,
    /// What it is to be; none: nothing.
    pub wanted: Option<Budget>,
    /// Whether it may be changed that has this version now; none: there is no such budget.
    pub condition: Box<dyn Fn(Option<i64>) -> bool + Send>,
    /// Who asks.
    pub author: Author,
}

impl std::fmt::Debug for BudgetOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BudgetOrder")
            .field("id", &self.id)
            .field("wanted", &self.wanted)
            .field("author", &self.author)
            .finish_non_exhaustive()
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetOutcome {
    /// There was none of this name; now there is.
    Created(StoredBudget),
    /// It is as it should be, perhaps was already.
    Changed(StoredBudget),
    /// It is no more.
    Removed(StoredBudget),
    /// There is none of this name to remove.
    Unknown,
    /// The condition does not hold.
    Condition,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// It is on record now.
    New,
    /// There is a record of this id already, and that one stays.
    Known,
}
