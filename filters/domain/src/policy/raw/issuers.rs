//! Who vouches for callers.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::SigningAlgorithm;

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

fn default_algorithms() -> Vec<SigningAlgorithm> {
    vec![SigningAlgorithm::Rs256]
}
