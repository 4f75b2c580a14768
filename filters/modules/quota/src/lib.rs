//! sekisho-module-quota
