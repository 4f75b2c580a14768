//! Credentials and what must come of them, as a table that every host runs: the decision
//! itself, the modules on the test host, and Envoy.
//!
//! `cases/world.yaml` holds the policy, the directory and the claims that cases begin with;
//! the other files hold the cases, one file for each thing that is decided.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the table is part of the tests: what is wrong with it should end them"
)]

mod case;
mod damage;
pub mod fuzz;
mod keys;
mod token;
mod world;
pub mod wycheproof;

pub use case::{Case, Shown};
pub use damage::Then;
pub use keys::{SigningKey, jwk, published, signing_key};
pub use token::{relative, token};
pub use world::{KeyRow, PEPPER, PersonRow, World};
