//! sekisho-module-audit
