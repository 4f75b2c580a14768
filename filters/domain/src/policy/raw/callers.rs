//! Who may call, and what of a caller must be known.

use serde::{Deserialize, Serialize};

use super::present;

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
