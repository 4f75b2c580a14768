//! The sidecar's end of Link: sessions over the writer and the snapshot, and the gRPC
//! service that carries them.

mod access_log;
mod gateways;
mod questions;
mod server;
mod session;

pub(crate) use access_log::{RECORD_HEADER, TRAPPED};
pub use server::{LinkAddress, LinkListener, LinkPlace, LinkServer};
pub use session::{Link, LinkError, LinkSession};
