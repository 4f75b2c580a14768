//! sekisho-scope
