//! Runs the built filters without Envoy, deterministically, for tests; and runs scenario
//! files on that host and on Envoy alike.

pub mod gateway;
pub mod host;
pub mod on_envoy;
pub mod on_host;
pub mod provider;
pub mod relay;
pub mod scenario;
pub mod sidecar;
pub mod socket;
pub mod tokens;
