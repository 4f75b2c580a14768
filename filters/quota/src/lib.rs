//! The decision whether a department's budgets allow a call: reserve its worst case
//! from leases in memory before it goes upstream, settle what it used afterwards.
//!
//! A worker may spend exactly what the sidecar has leased to it, so however many
//! workers there are, their spending never exceeds a budget.

mod accounts;
mod worst_case;

pub use accounts::{Accounts, Demand, Grant, HolderId, Reservation, Shortfall, Standing};
pub use worst_case::{Asked, WorstCase, demands, worst_case};
