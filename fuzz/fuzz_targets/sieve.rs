//! Arbitrary bytes as a stream of which the report of usage is left out.

#![no_main]

#[path = "../../filters/providers/tests/arbitrary/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::sieve(bytes));
