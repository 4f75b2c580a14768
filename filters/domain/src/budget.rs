//! Budgets: who, what is metered, over which window, up to where.

use serde::{Deserialize, Serialize};

use crate::{BudgetId, DepartmentId, Micros, Usage};

/// What a budget counts. Amounts of a budget are plain numbers in its meter's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// Admitted calls.
    Requests,
    /// Input and output tokens together.
    Tokens,
    /// Money, in micros of the policy's currency.
    Cost,
}

impl Meter {
    /// How much of this meter a call with `usage` and `cost` takes.
    #[must_use]
    pub fn amount(self, usage: &Usage, cost: Micros) -> u64 {
        match self {
            Self::Requests => 1,
            Self::Tokens => usage.total().0,
            Self::Cost => cost.0,
        }
    }

    /// The name in the policy file and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
        }
    }
}

/// The calendar unit after which a budget starts anew, in the company's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WindowUnit {
    /// Calendar minutes.
    Minute,
    /// Calendar hours.
    Hour,
    /// Calendar days.
    Day,
    /// Calendar months.
    Month,
}

/// A limit on what a department may use within a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Its name.
    pub id: BudgetId,
    /// Whom it binds.
    pub department: DepartmentId,
    /// What it counts.
    pub meter: Meter,
    /// When it starts anew.
    pub window: WindowUnit,
    /// The most that one window may take, in the meter's unit. Zero: none may pass.
    pub limit: u64,
}
