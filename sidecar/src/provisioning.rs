//! Accounts for the company's people: from a person to an account that can sign in.
//!
//! Whoever needs an account changed says so in terms of [`Accounts`]; behind it is the embedded
//! directory, or Entra ID. Every order may be lost, doubled or answered too late, so each is
//! such that giving it again does no harm, but for one: a creation is looked up by a key that never
//! changes before it is ordered again.

pub mod accounts;
pub mod password;

pub use accounts::{
    Account, AccountKey, AccountSpec, Accounts, Answer, ObjectId, Order, Outcome, Place, Refusal,
    UserName,
};
pub use password::Password;
