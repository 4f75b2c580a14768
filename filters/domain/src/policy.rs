//! The policy: what `sekisho.yaml` means once it has been checked.
//!
//! [`raw`] mirrors the file, [`Policy::parse`] turns it into this form or returns every
//! problem at once, each with its path. A policy that parses is sound: no dangling
//! name, no duplicate, no zero where zero means nothing, no overflow.

mod check;
mod limit;
pub mod raw;
mod repair;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::price::{Price, PriceBook};
use crate::scope::ScopeId;
use crate::{
    ApiId, Budget, DepartmentId, Network, Pattern, Provider, ScopeSet, ScopeTree, SigningAlgorithm,
    TitleId, UnixMillis,
};

/// One thing wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where: `budgets[2].limit`.
    pub path: String,
    /// What, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Whether a call waits for its record to be durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuditMode {
    /// Upstream only after the admit is durable; the answer ends only after the completion is.
    #[default]
    Strict,
    /// Recorded, but nobody waits.
    Relaxed,
}

/// What is kept of the bodies of requests and answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Contents {
    /// Their sizes. Costs nothing.
    #[default]
    None,
    /// Their SHA-256, too, in the record: whoever has a body can show that it was this one.
    Digest,
    /// The bodies themselves, encrypted, without what looks like a secret or names somebody.
    Redacted,
    /// The bodies themselves, encrypted, as they are: secrets and personal data with them.
    Full,
}

impl Contents {
    /// Whether nothing is kept.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Whether the bodies themselves are kept.
    #[must_use]
    pub const fn keeps_bodies(self) -> bool {
        matches!(self, Self::Redacted | Self::Full)
    }

    /// The name in policies and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Digest => "digest",
            Self::Redacted => "redacted",
            Self::Full => "full",
        }
    }
}

/// How bodies are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// Most bytes of each body.
    pub most_bytes: u64,
    /// What is taken out besides what always is.
    pub patterns: Vec<Pattern>,
    /// After so many days nobody can read them any more; none: no end.
    pub days: Option<u32>,
}

/// Who needs to be in the directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DirectoryMode {
    /// Every person; unknown ones are refused.
    #[default]
    Required,
    /// Nobody: tokens alone decide, departments come from a claim.
    None,
}

/// A checked policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Name of the company.
    pub organisation: String,
    /// IANA time zone of windows and days.
    pub time_zone: String,
    /// ISO 4217 code of every amount.
    pub currency: String,
    /// Whether people need a directory entry.
    pub directory: DirectoryMode,
    /// Trusted token issuers.
    pub issuers: Vec<Issuer>,
    /// The scope tree.
    pub scopes: ScopeTree,
    /// Where calls go, by name.
    pub upstreams: HashMap<String, Upstream>,
    /// What can be called.
    pub apis: Vec<Api>,
    /// Who pays.
    pub departments: HashMap<DepartmentId, Department>,
    /// Group object ids (lower case) and the departments of their members; of several
    /// departments the first counts.
    pub department_groups: Vec<(String, DepartmentId)>,
    /// What people of a title may use at most.
    pub titles: HashMap<TitleId, Title>,
    /// Scopes that need multi-factor authentication.
    pub mfa: Vec<ScopeMfa>,
    /// How many proxies in front of the gateway append to `x-forwarded-for` and are trusted.
    pub trusted_hops: u8,
    /// Limits.
    pub budgets: Vec<Budget>,
    /// Prices.
    pub prices: PriceBook,
    /// When one of several upstreams is left alone for a while.
    pub failover: Failover,
    /// How bodies are kept, of APIs that want it.
    pub keeping: Keeping,
    /// Largest request body, bytes.
    pub request_body_bytes: u64,
    /// How long a request waits for the sidecar before it is refused, milliseconds.
    pub ack_timeout_millis: u64,
}

/// A trusted issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The `iss` claim, exactly.
    pub issuer: String,
    /// The `tid` claim, lower case.
    pub tenant: String,
    /// Accepted `aud` values.
    pub audiences: Vec<String>,
    /// Accepted signature algorithms.
    pub algorithms: Vec<SigningAlgorithm>,
    /// Where the sidecar fetches signing keys.
    pub jwks_uri: Option<String>,
    /// Signing keys given in the policy itself.
    pub keys: Vec<crate::IssuerKey>,
    /// The claim that names the department, where tokens have one.
    pub department_claim: Option<String>,
}

/// Where calls go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its name; also the name of its Envoy cluster.
    pub name: String,
    /// The wire it speaks.
    pub provider: Provider,
    /// `http://host:port` or `https://host[:port]`, without path.
    pub url: String,
    /// How Envoy proves who we are to it.
    pub credential: Credential,
    /// Where it computes, if it says so.
    pub region: Option<String>,
    /// What may be asked of it.
    pub limits: UpstreamLimits,
}

/// What may be asked of an upstream, per proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// Calls under way at once.
    pub max_requests: u32,
    /// Connections at once.
    pub max_connections: u32,
    /// For making a connection, milliseconds.
    pub connect_timeout_millis: u64,
    /// From the request's end to the answer's beginning, milliseconds.
    pub first_byte_timeout_millis: u64,
}

impl From<&raw::RawUpstreamLimits> for UpstreamLimits {
    fn from(raw: &raw::RawUpstreamLimits) -> Self {
        Self {
            max_requests: raw.max_requests,
            max_connections: raw.max_connections,
            connect_timeout_millis: raw.connect_timeout_millis,
            first_byte_timeout_millis: raw.first_byte_timeout_millis,
        }
    }
}

/// When one of several upstreams is left alone for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Failed answers in a row.
    pub eject_after: u32,
    /// Seconds.
    pub eject_seconds: u64,
}

/// Where the sidecar finds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In this environment variable.
    Environment(String),
    /// In this file.
    File(String),
}

/// A credential that Envoy adds; the secret itself is in an SDS file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// None needed.
    None,
    /// A header whose value comes from a secret.
    Header {
        /// The header's name.
        name: String,
        /// What stands before the secret (`Bearer `), or nothing.
        prefix: String,
        /// Where the sidecar finds the secret.
        secret: SecretSource,
    },
    /// A token that Envoy gets with client credentials (RFC 6749, section 4.4).
    OAuth2 {
        /// Token endpoint.
        token_url: String,
        /// Client id.
        client_id: String,
        /// Scopes to ask for.
        scopes: Vec<String>,
        /// Where the sidecar finds the client secret.
        secret: SecretSource,
    },
    /// A token of an Azure managed identity, which the sidecar gets and renews.
    ManagedIdentity {
        /// For which resource (audience).
        resource: String,
        /// Which identity, where there are several.
        client_id: Option<String>,
    },
    /// AWS Signature Version 4 with the proxy's own AWS credentials.
    AwsSigV4 {
        /// The region in the signature.
        region: String,
    },
}

/// Something that can be called.
#[derive(Clone, Debug)]
pub struct Api {
    /// Its name.
    pub id: ApiId,
    /// The wire that clients speak to it.
    pub provider: Provider,
    /// Operation names of the provider's catalogue.
    pub operations: Vec<String>,
    /// Needed to call it, unless the model says otherwise.
    pub scope: ScopeId,
    /// Whether calls wait for their records.
    pub audit: AuditMode,
    /// What is kept of bodies.
    pub contents: Contents,
    /// Applications that may call it, lower case; `None`: all.
    pub applications: Option<HashSet<String>>,
    /// Multi-factor authentication that callers must show.
    pub mfa: Option<Mfa>,
    /// Networks that it may be called from; empty: all.
    pub networks: Vec<Network>,
    /// Where operations go that keep state there or concern no model.
    pub upstream: Option<String>,
    /// Whether answers tell which upstream gave them.
    pub show_upstream: bool,
    /// The name under which these are priced; `None`: they cost nothing.
    pub price: Option<String>,
    /// What requests and answers must keep to; `None`: no rules.
    pub rules: Option<Arc<Rules>>,
    /// Project and location that paths must name (Vertex AI).
    pub place: Option<Place>,
    /// Paths of an API that is no provider's.
    pub paths: Vec<HttpPath>,
    /// What it offers, by the name that clients use.
    pub models: HashMap<String, Model>,
    /// Other names of models, each with the one under which it is offered.
    pub aliases: HashMap<String, String>,
}

/// What the requests and answers of an API must keep to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The most output tokens that one answer may have.
    pub max_output_tokens: Option<u64>,
    /// What becomes of a request that asks for more.
    pub over_limit: OverLimit,
    /// Members of the body's outermost object, or parts of a form, that no request may have.
    pub forbidden: Vec<String>,
    /// The most messages of one request.
    pub max_messages: Option<u32>,
    /// The most pictures and files of one request.
    pub max_images: Option<u32>,
    /// The most levels of arrays and objects of one request.
    pub max_depth: Option<u32>,
    /// The most bytes of a request's body.
    pub request_body_bytes: Option<u64>,
    /// The most bytes of an answer's body; what is longer is cut.
    pub response_body_bytes: Option<u64>,
    /// How long a WebSocket session may last, seconds.
    pub session_seconds: Option<u64>,
    /// The most bytes of a WebSocket session, both ways together.
    pub session_bytes: Option<u64>,
    /// Whether streams are asked for their usage where the client did not.
    pub ask_usage: bool,
}

impl Rules {
    /// Whether every member of a body is to be looked at.
    #[must_use]
    pub fn looks_at_members(&self) -> bool {
        !self.forbidden.is_empty() || self.max_messages.is_some() || self.max_images.is_some()
    }

    /// The most output tokens of a model's answer, and whether that is to be written into the
    /// request; `None`: the model's own limit decides, and a request for more is refused.
    #[must_use]
    pub fn output_ceiling(&self, model: &Model) -> Option<u64> {
        match (self.max_output_tokens, self.over_limit) {
            (None, OverLimit::Refuse) => None,
            (None, OverLimit::Clamp) => Some(model.max_output_tokens),
            (Some(most), _) => Some(most.min(model.max_output_tokens)),
        }
    }
}

/// What becomes of a request that asks for more output than it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OverLimit {
    /// It is refused.
    #[default]
    Refuse,
    /// Its limit is lowered.
    Clamp,
}

/// A place in Google Cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Project id or number.
    pub project: String,
    /// Location, such as `asia-northeast1` or `global`.
    pub location: String,
}

/// A path of an API that is no provider's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPath {
    /// HTTP method.
    pub method: String,
    /// The path; what stands in braces is any one segment.
    pub template: String,
    /// What its calls are counted by.
    pub meter: PathMeter,
}

/// What calls of a path are counted by, besides as requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PathMeter {
    /// Nothing.
    #[default]
    Requests,
    /// The bytes of their bodies.
    Bytes,
}

/// A model that an API offers.
#[derive(Clone, Debug)]
pub struct Model {
    /// The name that clients use.
    pub name: String,
    /// Needed to call it.
    pub scope: ScopeId,
    /// Where it runs: at least one place, those that are asked first first, each once.
    pub upstreams: Vec<ModelUpstream>,
    /// The most output tokens that one answer can have.
    pub max_output_tokens: u64,
    /// The most input tokens that one answer can be charged for, where that is known.
    pub max_input_tokens: Option<u64>,
    /// The most output tokens of an answer that are not shown, if that is known.
    pub hidden_output_tokens: Option<u64>,
    /// The name under which it is priced.
    pub price: String,
}

/// One of the places where a model runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelUpstream {
    /// The upstream's name.
    pub upstream: String,
    /// What it calls the model, where that differs from what clients write.
    pub model: Option<String>,
    /// Its share among those of the same priority, from 1.
    pub weight: u32,
    /// Lower numbers are asked first.
    pub priority: u8,
}

/// Who pays.
#[derive(Clone, Debug)]
pub struct Department {
    /// Its code.
    pub id: DepartmentId,
    /// Its name, as people and files write it.
    pub name: String,
    /// What its people may use at most.
    pub entitlements: ScopeSet,
    /// Networks that its people may call from; empty: all.
    pub networks: Vec<Network>,
    /// Regions in which its calls may be computed; none: all.
    pub regions: Option<BTreeSet<String>>,
}

/// A title.
#[derive(Clone, Debug)]
pub struct Title {
    /// Its code.
    pub id: TitleId,
    /// Its name, as people and files write it.
    pub name: String,
    /// What its people may use at most.
    pub entitlements: ScopeSet,
}

/// Multi-factor authentication that a caller must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mfa {
    /// Id of the Conditional Access authentication context, if one is asked for.
    pub context: Option<String>,
}

/// Multi-factor authentication for some scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeMfa {
    /// The scopes: one and everything below it.
    pub scopes: ScopeSet,
    /// What their callers must show.
    pub mfa: Mfa,
}

/// What operations that concern no model cost, unless the policy says otherwise.
static FREE: Price = Price::FREE;

impl Api {
    /// The name under which a model is offered, by any of its names.
    #[must_use]
    pub fn offered<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.get(name).map_or(name, String::as_str)
    }
}

impl Policy {
    /// What applies to a call that was made at `now`: the price of the model, or where it
    /// concerns none (its name is empty) that of the API.
    #[must_use]
    pub fn price(&self, api: &Api, model: &str, now: UnixMillis) -> Option<&Price> {
        let name = if model.is_empty() {
            let Some(name) = &api.price else {
                return Some(&FREE);
            };
            name
        } else {
            &api.models.get(model)?.price
        };
        self.prices.price(name, now)
    }

    /// Reads a policy from the parsed file.
    ///
    /// # Errors
    /// Every [`Problem`], sorted by path.
    pub fn parse(file: serde_json::Value) -> Result<Self, Vec<Problem>> {
        let (reading, mut problems) = repair::read(file);
        let policy = reading.map(|reading| {
            let mut more = Vec::new();
            let policy = check::check(reading.raw, reading.defined, &mut more);
            problems.extend(
                more.into_iter()
                    .filter(|p| !reading.stand_ins.contains(&p.path)),
            );
            policy
        });
        problems.sort();
        problems.dedup();
        match policy {
            Some(policy) if problems.is_empty() => Ok(policy),
            _ => Err(problems),
        }
    }

    /// The department of this code or display name.
    #[must_use]
    pub fn department(&self, code_or_name: &str) -> Option<&Department> {
        self.departments
            .get(code_or_name)
            .or_else(|| self.departments.values().find(|d| d.name == code_or_name))
    }

    /// The issuer with this `iss`.
    #[must_use]
    pub fn issuer(&self, iss: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.issuer == iss)
    }
}
