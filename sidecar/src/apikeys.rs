//! Subscription keys: issuing, rotating and changing them. The secret is shown once; what
//! stays is its keyed hash.

mod amendment;
mod order;
mod rotation;
mod rules;
mod secret;

pub use amendment::Amendment;
pub use order::{Order, issue};
pub use rotation::{DEFAULT_OVERLAP_SECONDS, MOST_OVERLAP_SECONDS, RotationError, rotate};
pub use rules::OrderError;
pub use secret::OrderName;
