//! What must come of a request.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde_json::Value;

use super::format::{HeaderList, Span};

/// What a client must get and what must happen besides. What is not mentioned is not looked
/// at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expectation {
    pub(super) status: Option<u16>,
    /// The code in `x-sekisho-denial`; `none`: it was not refused.
    pub(super) denial: Option<String>,
    pub(super) headers: HeaderExpectation,
    pub(super) body: Option<BodyExpectation>,
    /// What the last provider that was asked must have seen.
    pub(super) upstream: Option<UpstreamExpectation>,
    /// The upstreams that must have been asked, one after the other; without it: at most one.
    pub(super) asked: Option<Vec<String>>,
    /// The records of the call, in order, all of them.
    pub(super) records: Option<Vec<Value>>,
    /// What was kept of its bodies.
    pub(super) kept: Option<KeptExpectation>,
    /// Whether the answer's end waits while the sidecar is disturbed (`upstream.before_end`).
    pub(super) end: Option<EndExpectation>,
    /// What of the body the client must have while the end waits.
    pub(super) while_waiting: Option<BodyExpectation>,
    /// Whether the answer ends as it should; default: yes, unless the client leaves.
    pub(super) complete: Option<bool>,
    /// The longest time that it may take.
    pub(super) within: Option<Span>,
    /// By how many bytes the memory of the modules may grow at most, where the host can tell.
    pub(super) grows_at_most: Option<usize>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HeaderExpectation {
    pub(super) equal: HeaderList,
    pub(super) contain: BTreeMap<String, String>,
    pub(super) present: Vec<String>,
    pub(super) absent: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BodyExpectation {
    /// Exactly this text.
    pub(super) text: Option<String>,
    pub(super) contains: Vec<String>,
    /// Nothing of this.
    pub(super) lacks: Vec<String>,
    /// JSON that has at least these members.
    pub(super) json: Option<Value>,
    /// Its size.
    pub(super) bytes: Option<usize>,
}

/// What must have been kept of the bodies of a call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct KeptExpectation {
    pub(super) request: BodyExpectation,
    pub(super) response: BodyExpectation,
}

/// `none`, or what a provider must have seen.
#[derive(Clone, Debug)]
pub(super) enum UpstreamExpectation {
    None,
    Asked(Box<AskedUpstream>),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AskedUpstream {
    pub(super) cluster: Option<String>,
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    pub(super) headers: HeaderExpectation,
    pub(super) body: Option<BodyExpectation>,
}

impl<'de> Deserialize<'de> for UpstreamExpectation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NoneOrMore;
        impl<'de> Visitor<'de> for NoneOrMore {
            type Value = UpstreamExpectation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`none`, or what the provider must have seen")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<UpstreamExpectation, E> {
                match word {
                    "none" => Ok(UpstreamExpectation::None),
                    other => Err(E::custom(format!("`{other}`: must be `none` or members"))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<UpstreamExpectation, A::Error> {
                let asked = AskedUpstream::deserialize(MapAccessDeserializer::new(map))?;
                Ok(UpstreamExpectation::Asked(Box::new(asked)))
            }
        }
        deserializer.deserialize_any(NoneOrMore)
    }
}

/// Whether an answer's end waits for the sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EndExpectation {
    Waits,
    AtOnce,
}

/// What a department must have used, over all days. What is not mentioned is not looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageExpectation {
    pub(super) department: String,
    pub(super) requests: Option<u64>,
    pub(super) refused: Option<u64>,
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    /// A decimal amount, in quotes.
    pub(super) cost: Option<String>,
}
