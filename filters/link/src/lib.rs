//! sekisho-link
