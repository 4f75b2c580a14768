//! Arbitrary bytes as an issuer's key set.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sekisho_scope_cases::fuzz::key_set(bytes));
