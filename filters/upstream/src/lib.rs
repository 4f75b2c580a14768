//! sekisho-upstream
