//! Bodies of calls that the policy wants kept: encrypted per department, so that destroying a key
//! makes them unreadable and leaves the log as it is.
//!
//! A gateway sends them in pieces. Each is encrypted on its own (XChaCha20-Poly1305) under the
//! key of the call's department and day, bound to its call, half, place and department. These keys
//! are in the database, themselves encrypted under a master key that is not. When the call has
//! ended, a record of the log says what the pieces and the keys were: whoever changes or takes away
//! any of them contradicts the log's tree. A key is destroyed together with an event that says so.

pub mod destroy;
pub mod expiry;
pub(crate) mod keys;
pub mod master;
pub mod read;
pub(crate) mod seal;
pub(crate) mod tables;

pub use destroy::{Destroyed, Extent};
pub use master::MasterKey;
