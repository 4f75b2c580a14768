//! Arbitrary bytes through a WebSocket, from either side.

#![no_main]

#[path = "../../filters/providers/tests/arbitrary/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::session(bytes));
