//! Arbitrary bytes as the value of a credential header.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sekisho_scope_cases::fuzz::authorization(bytes));
