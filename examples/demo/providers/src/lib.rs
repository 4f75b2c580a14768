//! sekisho-demo-providers
