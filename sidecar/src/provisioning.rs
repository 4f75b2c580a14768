//! Accounts for the company's people: from a person to an account that can sign in.
//!
//! Whoever needs an account changed says so in terms of [`Accounts`]; behind it is the embedded
//! directory, or Entra ID. Every order may be lost, doubled or answered too late, so each is
//! such that giving it again does no harm, but for one: a creation is looked up by a key that never
//! changes before it is ordered again.

pub mod accounts;
pub mod config;
pub mod days;
pub mod desk;
pub mod embedded;
pub mod jobs;
mod next;
pub mod notices;
pub mod password;
pub mod pickup;
pub mod runner;
pub mod sheet;

pub use accounts::{
    Account, AccountKey, AccountSpec, Accounts, Answer, ObjectId, Order, Outcome, Place, Refusal,
    UserName,
};
pub use config::PeopleSettings;
pub use days::Days;
pub use desk::Desk;
pub use embedded::Embedded;
pub use notices::{Notices, NoticesByMail};
pub use password::Password;
pub use pickup::Pickup;
pub use runner::Runner;
