//! sekisho-module-gateway
