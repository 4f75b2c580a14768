//! The decision whether the budgets that cover a call allow it: reserve its worst case
//! from leases in memory before it goes upstream, settle what it used afterwards.
//!
//! A worker may spend exactly what the sidecar has leased to it, so however many
//! workers there are, their spending never exceeds a budget.

mod accounts;
mod budgets;
#[cfg(test)]
mod rate;
mod reservation;
mod streamed;
mod worst_case;

pub use accounts::{Accounts, Demand, Dry, Grant, Return, Shortfall, Slot, Standing};
pub use budgets::Budgets;
pub use reservation::{HolderId, LeaseId, Reservation};
pub use streamed::Streamed;
pub use worst_case::{Asked, WorstCase, worst_case, worst_case_without_model};
