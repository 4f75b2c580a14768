//! Arbitrary bytes as the JSON body of a request.

#![no_main]

#[path = "../../filters/providers/tests/arbitrary/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::request(bytes));
