//! sekisho-plugin
