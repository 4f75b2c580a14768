//! The sidecar: what the gateway's filters decide by, and what they leave behind.
//!
//! One writer owns the audit log, the budget ledger and the usage roll-ups; they change
//! in one transaction, so that the bill and the log cannot disagree. Filters reach it
//! over Link, people over REST and the command line.

pub mod alerts;
pub mod api;
pub mod apikeys;
pub mod azure_token;
pub mod cli;
pub mod clock;
pub mod cold;
pub mod contents;
pub mod entra;
pub mod events;
pub mod forward;
pub mod jwks;
pub mod key_usage;
pub mod ledger;
pub mod link;
pub mod log;
pub mod mail;
pub mod managed_identity;
pub mod objects;
mod outbox;
pub mod overshoot;
pub mod people;
pub mod policy_file;
pub mod provisioning;
pub mod push;
pub mod render;
pub mod report;
pub mod secret_keeper;
pub mod settings;
pub mod siem;
pub mod snapshot;
pub mod store;
pub mod usage;
pub mod vitals;
pub mod writer;
