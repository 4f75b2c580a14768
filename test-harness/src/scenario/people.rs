//! Who can call in a scenario.

use sekisho_domain::Network;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::format::Span;

/// A person.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonSpec {
    /// Code of the person's department.
    #[serde(default)]
    pub department: String,
    /// Scopes in the person's tokens.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whether the account may be used.
    #[serde(default = "yes")]
    pub active: bool,
    /// Whether the directory knows the person.
    #[serde(default = "yes")]
    pub registered: bool,
}

/// A subscription key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySpec {
    /// Code of the department that pays.
    #[serde(default)]
    pub department: String,
    /// The person it is for.
    #[serde(default)]
    pub user: Option<String>,
    /// Scopes that it grants.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// From when on it is refused, counted from the beginning of the scenario.
    #[serde(default)]
    expires_after: Option<Span>,
    /// Where it may be used from; empty: everywhere.
    #[serde(default, deserialize_with = "networks")]
    pub networks: Vec<Network>,
}

impl KeySpec {
    /// Milliseconds for which the key is valid; none: for ever.
    #[must_use]
    pub fn valid_millis(&self) -> Option<u64> {
        let span = self.expires_after?;
        u64::try_from(span.0.as_millis()).ok()
    }
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let networks = texts
        .iter()
        .map(|text| text.parse().map_err(D::Error::custom));
    networks.collect()
}

const fn yes() -> bool {
    true
}
