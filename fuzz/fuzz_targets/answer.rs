//! Arbitrary bytes as an answer: JSON, server-sent events, AWS event stream.

#![no_main]

#[path = "../../filters/providers/tests/arbitrary/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::answer(bytes));
