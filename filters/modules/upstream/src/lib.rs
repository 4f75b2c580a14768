//! sekisho-module-upstream
