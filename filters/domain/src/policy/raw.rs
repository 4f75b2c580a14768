//! `sekisho.yaml`, member by member. Unknown members are errors.

mod apis;
mod audit;
mod budgets;
mod callers;
mod issuers;
mod prices;
mod upstreams;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::DirectoryMode;

pub use apis::{RawApi, RawModel, RawModelUpstream, RawPath, RawRules};
pub use audit::RawAudit;
pub use budgets::{RawBudget, RawLimit, RawMode};
pub use callers::{RawClientAddress, RawDepartment, RawMfa, RawScopeMfa, RawTitle};
pub use issuers::{RawIssuer, RawJwk, RawJwks};
pub use prices::{Amount, RawPrice};
pub use upstreams::{
    RawAwsCredential, RawCredential, RawFailover, RawHeaderCredential, RawManagedIdentity,
    RawOAuth2Credential, RawUpstream, RawUpstreamLimits,
};

/// The whole file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawPolicy {
    /// Version of the file's format: 1.
    pub version: u32,
    /// Name of the company.
    pub organisation: String,
    /// IANA time zone in which days, months and budget windows begin, such as `Asia/Tokyo`.
    pub time_zone: String,
    /// ISO 4217 code of every amount, such as `JPY`.
    pub currency: String,
    /// Whether every caller must be in the directory (`required`, the default) or tokens alone decide (`none`).
    #[serde(default)]
    pub directory: DirectoryMode,
    /// Scopes, each with its parent; holding a parent grants its children.
    pub scopes: BTreeMap<String, Option<String>>,
    /// Token issuers that are trusted.
    pub issuers: Vec<RawIssuer>,
    /// Where calls go.
    #[serde(default)]
    pub upstreams: Vec<RawUpstream>,
    /// What can be called. Whatever is not listed answers 404.
    pub apis: Vec<RawApi>,
    /// Who pays.
    #[serde(default)]
    pub departments: Vec<RawDepartment>,
    /// What people of a title may use at most. Titles that are not listed narrow nothing.
    #[serde(default)]
    pub titles: Vec<RawTitle>,
    /// Scopes that need multi-factor authentication, each with everything below it.
    #[serde(default)]
    pub mfa: Vec<RawScopeMfa>,
    /// How the client's address is known.
    #[serde(default)]
    pub client_address: RawClientAddress,
    /// Limits of what departments may use.
    #[serde(default)]
    pub budgets: Vec<RawBudget>,
    /// Prices of models.
    #[serde(default)]
    pub prices: Vec<RawPrice>,
    /// How calls are recorded.
    #[serde(default)]
    pub audit: RawAudit,
    /// When an upstream is left alone for a while.
    #[serde(default)]
    pub failover: RawFailover,
    /// Sizes and times.
    #[serde(default)]
    pub limits: RawLimits,
}

/// Sizes and times.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    /// Largest request body, bytes.
    pub request_body_bytes: u64,
    /// How long a request waits for the sidecar before it is refused, milliseconds.
    pub ack_timeout_millis: u64,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            request_body_bytes: 4 * 1024 * 1024,
            ack_timeout_millis: 200,
        }
    }
}

/// A member that may be absent but not null: an empty `mfa:` must not mean "none".
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}
