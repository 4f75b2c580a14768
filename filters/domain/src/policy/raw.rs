//! `sekisho.yaml`, member by member. Unknown members are errors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AuditMode, DirectoryMode};
use crate::{Meter, Provider, WindowUnit};

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
    /// Limits of what departments may use.
    #[serde(default)]
    pub budgets: Vec<RawBudget>,
    /// Prices of models.
    #[serde(default)]
    pub prices: Vec<RawPrice>,
    /// How calls are recorded.
    #[serde(default)]
    pub audit: RawAudit,
    /// Sizes and times.
    #[serde(default)]
    pub limits: RawLimits,
}

/// A trusted issuer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawIssuer {
    /// The exact `iss` claim.
    pub issuer: String,
    /// Directory (tenant) id: the `tid` claim.
    pub tenant: String,
    /// Accepted `aud` claims.
    pub audiences: Vec<String>,
    /// Where the sidecar fetches the issuer's signing keys.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Signing keys, for filters that run without a sidecar.
    #[serde(default)]
    pub jwks: Option<RawJwks>,
    /// Claim that names the department, where the directory does not.
    #[serde(default)]
    pub department_claim: Option<String>,
}

/// A JSON Web Key Set (RFC 7517, section 5) of RSA keys.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RawJwks {
    /// The keys.
    pub keys: Vec<RawJwk>,
}

/// One RSA key. Other members of the key (`alg`, `use`, `x5c`) may be present.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RawJwk {
    /// Key type: `RSA`.
    pub kty: String,
    /// Key id.
    pub kid: String,
    /// Modulus, base64url.
    pub n: String,
    /// Exponent, base64url.
    pub e: String,
}

/// Where calls go.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawUpstream {
    /// Its name: letters, digits, `-`, `_`.
    pub name: String,
    /// The wire it speaks.
    pub provider: Provider,
    /// `http://host:port` or `https://host[:port]`.
    pub url: String,
    /// How the gateway proves itself to it.
    #[serde(default)]
    pub credential: Option<RawCredential>,
}

/// How the gateway proves itself to an upstream. Exactly one of the two members.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawCredential {
    /// A header with a secret in it.
    #[serde(default)]
    pub header: Option<RawHeaderCredential>,
    /// AWS Signature Version 4.
    #[serde(default)]
    pub aws: Option<RawAwsCredential>,
}

/// A header with a secret in it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawHeaderCredential {
    /// Name of the header: `api-key`, `authorization`, ...
    pub name: String,
    /// What stands before the secret, such as `Bearer `.
    #[serde(default)]
    pub prefix: String,
    /// Environment variable of the sidecar that holds the secret.
    pub secret_env: String,
}

/// AWS Signature Version 4 with the proxy's own credentials.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawAwsCredential {
    /// Region in the signature, such as `ap-northeast-1`.
    pub region: String,
}

/// Something that can be called.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawApi {
    /// Its name.
    pub name: String,
    /// The wire that clients speak to it.
    pub provider: Provider,
    /// Operations of the provider that are open, such as `chat_completions`.
    pub operations: Vec<String>,
    /// Scope that a caller needs, unless a model names its own.
    pub scope: String,
    /// Whether calls wait for their records; default: `audit.mode`.
    #[serde(default)]
    pub audit: Option<AuditMode>,
    /// Models on offer.
    pub models: Vec<RawModel>,
}

/// A model on offer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawModel {
    /// The name that clients use: model, deployment or model id.
    pub name: String,
    /// Scope that a caller needs; default: the API's.
    #[serde(default)]
    pub scope: Option<String>,
    /// Where it runs.
    pub upstream: String,
    /// What the upstream calls it; default: the same.
    #[serde(default)]
    pub upstream_model: Option<String>,
    /// The most output tokens that one answer can have. Budgets reserve this much when a call names no limit.
    #[serde(default = "default_max_output_tokens")]
    pub max_output_tokens: u64,
    /// Name in the price list; default: the model's name.
    #[serde(default)]
    pub price: Option<String>,
}

/// A department.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawDepartment {
    /// Its code: letters, digits, `-`, `_`.
    pub id: String,
    /// Its name, as it stands in CSV files.
    pub name: String,
    /// Scopes that its people may use at most; default: all.
    #[serde(default)]
    pub entitlements: Option<Vec<String>>,
}

/// A limit.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawBudget {
    /// Its name.
    pub id: String,
    /// Whom it binds: a department's code.
    pub department: String,
    /// What it counts.
    pub meter: Meter,
    /// When it starts anew.
    pub window: WindowUnit,
    /// The most that one window may take: requests, tokens, or a decimal amount of money.
    pub limit: Amount,
}

/// A price of a model.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawPrice {
    /// The model, by its price name.
    pub model: String,
    /// First day of validity: `YYYY-MM-DD`, from midnight in the company's time zone.
    pub from: String,
    /// That midnight in Unix milliseconds. The sidecar, which knows the rules of time
    /// zones, fills it in before it hands the policy to filters; without it: midnight UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_unix_millis: Option<u64>,
    /// Per million input tokens.
    pub input_per_million: Amount,
    /// Per million output tokens.
    pub output_per_million: Amount,
    /// Per call, whatever it used.
    #[serde(default)]
    pub per_request: Option<Amount>,
}

/// A whole number, or a decimal in quotes (`"0.375"`): never a floating-point number.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    untagged,
    expecting = "must be a whole number that is not negative, or a decimal in quotes such as `\"0.375\"`"
)]
pub enum Amount {
    /// Whole.
    Whole(u64),
    /// Decimal text.
    Decimal(String),
}

/// How calls are recorded.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawAudit {
    /// Whether calls wait for their records.
    #[serde(default)]
    pub mode: AuditMode,
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

const fn default_max_output_tokens() -> u64 {
    4096
}
