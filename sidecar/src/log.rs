//! The audit log: records are leaves of an RFC 6962 Merkle tree; a signed checkpoint of
//! its root is made every second in which something was added, and kept in two places.

pub mod checkpoint;
pub mod entry;
pub mod export;
pub mod note;
pub mod search;
pub(crate) mod tables;
pub mod tree;
pub mod verify;

pub use entry::{Malformed, Recorded};
pub use search::{Filter, Page, search};
