//! The Link protocol: the messages of `proto/link.proto`, what they mean in the words of the
//! domain, and the worker's side of the batching. Pure: whoever owns the stream feeds events in and sends what comes out.

pub mod directory;
mod entry;
pub mod outbox;

pub use entry::{Reserved, lease};
pub use outbox::{Acknowledged, Need, Outbox};
pub use v1::contents::Half;

/// Messages, generated from `proto/link.proto`.
pub mod v1 {
    #![expect(missing_docs, clippy::all, reason = "generated code")]
    include!(concat!(env!("OUT_DIR"), "/sekisho.link.v1.rs"));
}

/// Full name of the gRPC service.
pub const SERVICE: &str = "sekisho.link.v1.Link";
/// Its one method.
pub const METHOD: &str = "Open";
