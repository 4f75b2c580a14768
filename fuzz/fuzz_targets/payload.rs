//! Arbitrary bytes as the payload of a token with a good signature.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sekisho_scope_cases::fuzz::payload(bytes));
