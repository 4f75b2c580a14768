//! sekisho-test-harness
