//! Checking the log offline.
