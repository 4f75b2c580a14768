//! The host against what the probe filter says about it from inside. The expected lines are those
//! that the same probe logged in Envoy 1.40.0.
//!
//! The probe is built by `scripts/build-filters`; without it these tests have nothing to run and
//! say so.

#![expect(clippy::unwrap_used, reason = "what the tests share may be blunt too")]

#[path = "host/support.rs"]
mod support;

#[path = "host/ends.rs"]
mod ends;
#[path = "host/foreign.rs"]
mod foreign;
#[path = "host/grpc.rs"]
mod grpc;
#[path = "host/replies.rs"]
mod replies;
#[path = "host/requests.rs"]
mod requests;
#[path = "host/responses.rs"]
mod responses;
#[path = "host/threads.rs"]
mod threads;
#[path = "host/traps.rs"]
mod traps;
