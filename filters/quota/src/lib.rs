//! sekisho-quota
