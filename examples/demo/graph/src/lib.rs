//! A stand-in for Microsoft Graph and the token endpoint of Entra ID.
//!
//! It holds every request to schemas that were written after the published documentation, keeps
//! users, groups and app roles, and misbehaves when it is told to: see [`Faults`]. What really
//! happened is in its journal.

mod answer;
mod clock;
mod description;
mod directory;
mod faults;
mod journal;
mod operation;
mod schema;
mod server;
mod token;

pub use description::Description;
pub use faults::Faults;
pub use journal::{Line, Violation};
pub use schema::SchemaError;
pub use server::{Settings, StandIn};
