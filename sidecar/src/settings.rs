//! Settings that administrators change while the sidecar runs.
//!
//! The policy file is the ground. Settings are a part of it, member by member under the same names
//! and rules, that stands in the database and goes before the file; what is not set is as the file
//! says. Only what is listed in [`SettingsValues`] can be set, nothing of it is a secret, and the
//! file can lock what it wants to have the last word about. Whoever obeys a setting asks
//! [`LiveSettings`] each time.

mod ground;
mod live;
mod locks;
mod values;

pub use ground::{Ground, Origin, Shown};
pub use live::{InForce, LiveSettings};
pub use locks::{RawSettings, read};
pub use values::{NAMES, SettingsValues};
