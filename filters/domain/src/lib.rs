//! sekisho-domain
