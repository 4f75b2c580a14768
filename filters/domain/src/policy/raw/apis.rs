//! What can be called, and what it must keep to.

use serde::{Deserialize, Serialize};

use super::{RawMfa, present};
use crate::Provider;
use crate::policy::{AuditMode, Contents, OverLimit, PathMeter};

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

const fn default_max_output_tokens() -> u64 {
    4096
}
