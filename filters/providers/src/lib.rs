//! sekisho-providers
