//! `sekisho.yaml`, member by member. Unknown members are errors.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::{AuditMode, Contents, DirectoryMode, OverLimit, PathMeter};
use crate::{Meter, Modality, Provider, SigningAlgorithm, WindowUnit};

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
    /// Accepted signature algorithms; default: `RS256`, which Entra ID uses.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<SigningAlgorithm>,
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

/// A JSON Web Key Set (RFC 7517, section 5) of RSA and P-256 keys.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RawJwks {
    /// The keys.
    pub keys: Vec<RawJwk>,
}

/// One public key. Other members (`x5c`, `x5t`) may be present.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RawJwk {
    /// Key type: `RSA` or `EC`.
    pub kty: String,
    /// Key id.
    pub kid: String,
    /// What it is for: `sig`, where present.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// What can be done with it: `verify` among others, where present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ops: Option<Vec<String>>,
    /// The one algorithm it is for, where present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// RSA modulus, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA exponent, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// Curve: `P-256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// First coordinate, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Second coordinate, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// RSA private exponent or EC private key: never to be published.
    #[serde(default, skip_serializing)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub d: Option<IgnoredAny>,
    /// First prime: never to be published.
    #[serde(default, skip_serializing)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub p: Option<IgnoredAny>,
    /// Second prime: never to be published.
    #[serde(default, skip_serializing)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub q: Option<IgnoredAny>,
    /// Symmetric key: never to be published.
    #[serde(default, skip_serializing)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub k: Option<IgnoredAny>,
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
    /// Where it computes, such as `japaneast`, for departments that are bound to regions: a
    /// name that `departments[].regions` can have. Without one it takes no calls of theirs.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub region: Option<String>,
    /// What may be asked of it.
    #[serde(default)]
    pub limits: RawUpstreamLimits,
}

/// What may be asked of an upstream.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RawUpstreamLimits {
    /// Calls under way at once, per proxy; what comes beyond goes to the model's next upstream
    /// or is answered 503.
    pub max_requests: u32,
    /// Connections at once, per proxy.
    pub max_connections: u32,
    /// How long a connection may take to be made, milliseconds.
    pub connect_timeout_millis: u64,
    /// How long it may take to begin its answer once it has the whole request, milliseconds;
    /// then the model's next upstream is asked, or the call is answered 504. An answer that has
    /// begun is never cut by this. Default: ten minutes.
    pub first_byte_timeout_millis: u64,
}

impl Default for RawUpstreamLimits {
    fn default() -> Self {
        Self {
            max_requests: 4096,
            max_connections: 4096,
            connect_timeout_millis: 5_000,
            first_byte_timeout_millis: 600_000,
        }
    }
}

/// How the gateway proves itself to an upstream. Exactly one of the members.
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
    /// A token that the proxy gets with client credentials, such as an Entra ID application's.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "RawOAuth2Credential"))]
    pub oauth2: Option<RawOAuth2Credential>,
    /// A token of an Azure managed identity, which the sidecar gets where it runs: from the
    /// metadata service of a virtual machine, the endpoint of App Service, or Entra ID with a
    /// pod's federated token.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "RawManagedIdentity"))]
    pub managed_identity: Option<RawManagedIdentity>,
}

/// An Azure managed identity. Its token is sent as `Authorization: Bearer`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawManagedIdentity {
    /// The resource that the token is for; default: `https://cognitiveservices.azure.com`, that
    /// of Azure OpenAI.
    #[serde(default = "cognitive_services")]
    pub resource: String,
    /// The client id of a user-assigned identity; default: the system-assigned one, or for a
    /// pod what its environment says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

fn cognitive_services() -> String {
    "https://cognitiveservices.azure.com".to_owned()
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
    /// Environment variable of the sidecar that holds the secret. Exactly one of this and
    /// `secret_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// File that the sidecar reads the secret from, and reads again when it has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<String>,
}

/// OAuth 2.0 client credentials (RFC 6749, section 4.4). The proxy fetches the token and sends
/// it as `Authorization: Bearer`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawOAuth2Credential {
    /// Token endpoint, such as `https://login.microsoftonline.com/TENANT/oauth2/v2.0/token`.
    pub token_url: String,
    /// Client (application) id.
    pub client_id: String,
    /// Scopes to ask for, such as `https://cognitiveservices.azure.com/.default`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Environment variable of the sidecar that holds the client secret. Exactly one of this and
    /// `secret_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// File that the sidecar reads the client secret from, and reads again when it has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<String>,
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
    #[serde(default)]
    pub operations: Vec<String>,
    /// Paths that are open, of an API that is no provider's (`http`).
    #[serde(default)]
    pub paths: Vec<RawPath>,
    /// Scope that a caller needs, unless a model names its own.
    pub scope: String,
    /// Whether calls wait for their records; default: `audit.mode`.
    #[serde(default)]
    pub audit: Option<AuditMode>,
    /// What is kept of the bodies of requests and answers; default: `audit.contents`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<Contents>,
    /// Client ids of the applications that may call it (`azp`, `appid`); default: all.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub applications: Option<Vec<String>>,
    /// Multi-factor authentication that callers must show; default: none.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "RawMfa"))]
    pub mfa: Option<RawMfa>,
    /// Networks that it may be called from, as CIDR; default: all.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub networks: Option<Vec<String>>,
    /// Where operations go that keep state at their upstream or concern no model: files,
    /// batches, what became of a response. Without it, operations that keep state and name a
    /// model go to one of the model's upstreams, the same for all of a department's calls.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub upstream: Option<String>,
    /// Whether answers say in `x-sekisho-upstream` which upstream gave them; default: no.
    #[serde(default)]
    pub show_upstream: bool,
    /// Name in the price list of operations that concern no model; default: they cost nothing.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub price: Option<String>,
    /// Google Cloud project that paths must name (`vertex`).
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub project: Option<String>,
    /// Google Cloud location that paths must name (`vertex`), such as `asia-northeast1`.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub location: Option<String>,
    /// What requests and answers must keep to.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "RawRules"))]
    pub rules: Option<RawRules>,
    /// Models on offer.
    #[serde(default)]
    pub models: Vec<RawModel>,
}

/// What the requests and answers of an API must keep to. What is not given is not limited.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RawRules {
    /// The most output tokens of one answer, of whatever model. Where a request sets no limit,
    /// this is written into it.
    pub max_output_tokens: Option<u64>,
    /// What becomes of a request that asks for more than this or than the model's
    /// `max_output_tokens`: `refuse` (default), or `clamp`: its limit is lowered.
    pub over_limit: OverLimit,
    /// Members of the body's outermost object, or parts of a form, that no request may have,
    /// such as `logit_bias`.
    pub forbidden: Vec<String>,
    /// The most messages (`messages`, `input`, `contents`) of one request.
    pub max_messages: Option<u32>,
    /// The most pictures and files of one request, in its body or by reference.
    pub max_images: Option<u32>,
    /// The most levels of arrays and objects in a request's body; never more than 128.
    pub max_depth: Option<u32>,
    /// The most bytes of a request's body; never more than `limits.request_body_bytes`.
    pub request_body_bytes: Option<u64>,
    /// The most bytes of an answer's body: what is longer is cut, and charged as far as it
    /// came. Budgets of `bytes` reserve this much.
    pub response_body_bytes: Option<u64>,
    /// How long a WebSocket session (`realtime`) may last, seconds: 1 to 3600 (default).
    pub session_seconds: Option<u64>,
    /// The most bytes of a WebSocket session, both ways together; default: 256 MiB.
    pub session_bytes: Option<u64>,
    /// Whether streams of OpenAI's chat completions are asked for their usage where the client
    /// did not ask; its report is left out of the answer then. Default: true. Without it such
    /// streams are charged by estimate; for servers that do not know `stream_options`.
    pub ask_usage: bool,
}

impl Default for RawRules {
    fn default() -> Self {
        Self {
            max_output_tokens: None,
            over_limit: OverLimit::default(),
            forbidden: Vec::new(),
            max_messages: None,
            max_images: None,
            max_depth: None,
            request_body_bytes: None,
            response_body_bytes: None,
            session_seconds: None,
            session_bytes: None,
            ask_usage: true,
        }
    }
}

/// A path that is open.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawPath {
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// The path, such as `/weather/{city}`: what stands in braces is any one segment.
    pub template: String,
    /// What its calls are counted by besides as requests: `bytes` of their bodies, or nothing
    /// (`requests`, the default).
    #[serde(default)]
    pub meter: PathMeter,
}

/// Multi-factor authentication. A v2.0 token shows it by the authentication context in
/// `acrs` if one is named here, otherwise by `mfa` in `amr`; a v1.0 token by either.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawMfa {
    /// Id of a Conditional Access authentication context, such as `c1`.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub authentication_context: Option<String>,
}

/// Multi-factor authentication for a scope and everything below it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawScopeMfa {
    /// The scope.
    pub scope: String,
    /// Id of a Conditional Access authentication context, such as `c1`.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub authentication_context: Option<String>,
}

/// A model on offer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawModel {
    /// The name that clients use: model, deployment or model id.
    pub name: String,
    /// Other names by which clients may ask for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Scope that a caller needs; default: the API's.
    #[serde(default)]
    pub scope: Option<String>,
    /// Where it runs. Exactly one of this and `upstreams`.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub upstream: Option<String>,
    /// What the upstream calls it; default: the same.
    #[serde(default)]
    pub upstream_model: Option<String>,
    /// Where it runs, if that is more than one place: whichever fails before its answer has
    /// begun is followed by the next.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<RawModelUpstream>"))]
    pub upstreams: Option<Vec<RawModelUpstream>>,
    /// The most output tokens that one answer can have. Budgets reserve this much when a call names no limit.
    #[serde(default = "default_max_output_tokens")]
    pub max_output_tokens: u64,
    /// The most input tokens that one answer can be charged for: the model's context window.
    /// Needed where the operation `realtime` is open, in whose sessions every answer reads all
    /// that was said before.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub max_input_tokens: Option<u64>,
    /// The most output tokens that one answer can have without showing them: what a model
    /// thinks and keeps to itself. 0 for models that do not. Budgets of mode `stream_cut` follow
    /// answers by what they show, so without it they set the most aside that an answer can use.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub hidden_output_tokens: Option<u64>,
    /// Name in the price list; default: the model's name.
    #[serde(default)]
    pub price: Option<String>,
}

/// One of the places where a model runs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawModelUpstream {
    /// The upstream.
    pub name: String,
    /// Its share of the calls among those of the same priority: 1 (default) to 1000.
    #[serde(default = "one")]
    pub weight: u32,
    /// 0 (default) to 7: it is asked when those of lower numbers have failed.
    #[serde(default)]
    pub priority: u8,
    /// What it calls the model; default: the same. Where clients name the model in the body,
    /// all of a model's upstreams must call it the same.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub model: Option<String>,
}

const fn one() -> u32 {
    1
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
    /// Object ids of the groups whose members work here, where neither the directory nor a
    /// claim says so. Of several departments the one that is listed first.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Networks that its people may call from, as CIDR; default: all.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub networks: Option<Vec<String>>,
    /// Regions in which its calls may be computed: only upstreams of these regions take them;
    /// default: all.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub regions: Option<Vec<String>>,
}

/// A title.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawTitle {
    /// Its code: letters, digits, `-`, `_`.
    pub id: String,
    /// Its name, as it stands in CSV files.
    pub name: String,
    /// Scopes that its people may use at most.
    pub entitlements: Vec<String>,
}

/// How the client's address is known.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RawClientAddress {
    /// How many proxies in front of the gateway append to `x-forwarded-for` and are
    /// trusted: 0 to 8. With 0 the address is the one that connects to the gateway.
    pub trusted_hops: u8,
}

/// A limit. Exactly one of `organisation`, `department`, `user` and `key` says whom it binds;
/// at most one of `api`, `model` and `modality` says which calls it counts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RawBudget {
    /// Its name.
    pub id: String,
    /// `true`: it binds everybody together.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "bool"))]
    pub organisation: Option<bool>,
    /// It binds a department: its code.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub department: Option<String>,
    /// It binds one person: the company's id of the person, as in the directory.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub user: Option<String>,
    /// It binds one subscription key: the key's public id.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub key: Option<String>,
    /// It counts the calls of one API alone.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub api: Option<String>,
    /// It counts the calls that ask for one model alone, by the name that clients use.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub model: Option<String>,
    /// It counts the calls alone that handle text, sound, pictures or moving pictures.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Modality"))]
    pub modality: Option<Modality>,
    /// What it counts.
    pub meter: Meter,
    /// When it starts anew; not for `concurrency`, which counts calls under way.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "WindowUnit"))]
    pub window: Option<WindowUnit>,
    /// The most that one window may take: a whole number, or for `cost` also a decimal in
    /// quotes. 0: none may pass. There is no unlimited: leave the budget out.
    #[serde(default)]
    pub limit: RawLimit,
    /// What is set aside for an answer that streams: `strict` (default): the most that it can
    /// use. `stream_cut`: an estimate and, as it passes, more; it is cut when there is no more.
    /// For `output_tokens`, `tokens` and `cost`.
    #[serde(default, skip_serializing_if = "RawMode::is_strict")]
    pub mode: RawMode,
    /// With `stream_cut`: output tokens that are set aside before an answer begins and each time
    /// that it needs more; 2000 if not said.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub estimate_tokens: Option<u64>,
    /// With `stream_cut`: output tokens that a provider can have generated, when an answer is
    /// cut, beyond those that have passed; 100 if not said. At most `estimate_tokens`.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub ahead_tokens: Option<u64>,
}

/// What is set aside for answers that stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RawMode {
    /// The most that they can use.
    #[default]
    Strict,
    /// An estimate and, as they pass, more.
    StreamCut,
}

impl RawMode {
    const fn is_strict(&self) -> bool {
        matches!(self, Self::Strict)
    }
}

/// A limit as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RawLimit {
    /// Not at all.
    #[default]
    Missing,
    /// Whole.
    Whole(u64),
    /// Decimal text.
    Decimal(String),
    /// In a way that is none; how.
    Wrong(String),
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
    /// Per million input tokens that the provider reads from its prompt cache; default: as other input.
    #[serde(default)]
    pub cached_input_per_million: Option<Amount>,
    /// Per million input tokens that the provider writes to its prompt cache; default: as other input.
    #[serde(default)]
    pub cache_write_per_million: Option<Amount>,
    /// Per million input tokens of sound; default: as other input.
    #[serde(default)]
    pub audio_input_per_million: Option<Amount>,
    /// Per million input tokens of pictures; default: as other input.
    #[serde(default)]
    pub image_input_per_million: Option<Amount>,
    /// Per million output tokens of sound; default: as other output.
    #[serde(default)]
    pub audio_output_per_million: Option<Amount>,
    /// Per million output tokens of pictures; default: as other output.
    #[serde(default)]
    pub image_output_per_million: Option<Amount>,
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
    /// What is kept of the bodies of requests and answers, of APIs that do not say.
    #[serde(default, skip_serializing_if = "Contents::is_none")]
    pub contents: Contents,
    /// Of each body that is kept (`contents: redacted` or `full`), the most bytes, 1024 to
    /// 1048576; default: 262144. What is beyond is cut off, and the record says so.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub contents_bytes: Option<u64>,
    /// After so many days, 1 to 36500, what was kept can no longer be read: its keys are
    /// destroyed. Default: it is kept.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "u32"))]
    pub contents_days: Option<u32>,
    /// What `contents: redacted` takes out besides tokens, passwords, private keys, mail
    /// addresses, telephone, card and individual numbers: at most 32 patterns such as
    /// `EMP-[0-9]{6}`. A pattern has letters, `[a-z0-9]` (ASCII), `\d`, `\w`, `?`, `{n}` and
    /// `{m,n}`; `\` makes any other character plain. It matches at most 64 bytes, anywhere in a
    /// text, in time that does not depend on the pattern.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
}

/// When one of a model's several upstreams is left alone for a while. Each proxy counts for
/// itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RawFailover {
    /// After so many failed answers in a row (429, 5xx, none), 1 to 100.
    pub eject_after: u32,
    /// For so long, seconds, 1 to 3600; if it fails again right after, as long once more.
    pub eject_seconds: u64,
}

impl Default for RawFailover {
    fn default() -> Self {
        Self {
            eject_after: 5,
            eject_seconds: 30,
        }
    }
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

fn default_algorithms() -> Vec<SigningAlgorithm> {
    vec![SigningAlgorithm::Rs256]
}

/// A member that may be absent but not null: an empty `mfa:` must not mean "none".
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

const fn default_max_output_tokens() -> u64 {
    4096
}
