//! sekisho-module-scope
