//! Where calls go, and how the gateway proves itself there.

use serde::{Deserialize, Serialize};

use super::present;
use crate::Provider;

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
