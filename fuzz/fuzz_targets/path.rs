//! Arbitrary bytes as the path of a request.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sekisho_scope_cases::fuzz::path(bytes));
