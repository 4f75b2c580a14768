//! What leaves the sidecar by itself: records for a SIEM, alerts for people.
//!
//! A courier brings the entries of a list to one recipient, oldest first. Where it is in the
//! list is in the database, and moves on only after the recipient has taken what was before:
//! everything arrives at least once and in order, whoever is killed meanwhile. A recipient
//! that is down is asked again and again; the list does not wait for it.

pub(crate) mod backoff;
pub(crate) mod config;
pub(crate) mod courier;
pub mod cursors;
pub(crate) mod http;
pub(crate) mod secret;
pub mod standing;
pub(crate) mod tls;
pub mod trouble;
pub mod webhook;

pub use standing::{Failing, List, Standing, Standings};
pub use trouble::Trouble;
