//! Runs the built filters without Envoy, deterministically, for tests.

pub mod host;
