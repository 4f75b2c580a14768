//! What the policy opens, and at which prices.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::usage::{KINDS, Price};

#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyError {
    #[error("`{path}` cannot be read: {source}")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("`{path}` is no policy: {source}")]
    Parse {
        path: String,
        #[source]
        source: serde_yaml_ng::Error,
    },
    #[error("`{0}` is no amount")]
    Amount(String),
}

#[derive(Deserialize)]
struct Document {
    apis: Vec<Api>,
    #[serde(default)]
    prices: Vec<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct Api {
    name: String,
    provider: String,
    #[serde(default)]
    operations: Vec<String>,
    #[serde(default)]
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
    price: Option<String>,
    #[serde(default)]
    upstreams: Vec<Value>,
}

/// The parts of a policy that concern what is called and what it costs.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// Provider, operation, and each model of the API.
    opened: BTreeSet<(String, String, String)>,
    /// Providers and models that run at several upstreams.
    pools: BTreeSet<(String, String)>,
    /// By API and model.
    prices: BTreeMap<(String, String), Price>,
}

/// The members of a price, in the order of [`KINDS`]; thoughts are output like any other.
const PRICES: [Option<&str>; KINDS.len()] = [
    Some("input_per_million"),
    Some("output_per_million"),
    Some("cached_input_per_million"),
    Some("cache_write_per_million"),
    Some("audio_input_per_million"),
    Some("image_input_per_million"),
    None,
    Some("audio_output_per_million"),
    Some("image_output_per_million"),
];

impl Policy {
    pub(crate) fn read(path: &Path) -> Result<Self, PolicyError> {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| PolicyError::Read {
            path: name(),
            source,
        })?;
        let document = serde_yaml_ng::from_str(&text).map_err(|source| PolicyError::Parse {
            path: name(),
            source,
        })?;
        Self::of(document)
    }

    fn of(document: Document) -> Result<Self, PolicyError> {
        let mut policy = Self::default();
        let mut prices = BTreeMap::new();
        for members in &document.prices {
            if let Some(model) = members.get("model").and_then(Value::as_str) {
                prices.insert(model.to_owned(), price(members)?);
            }
        }
        for api in &document.apis {
            for model in &api.models {
                for operation in &api.operations {
                    let provider = api.provider.clone();
                    let opened = (provider, operation.clone(), model.name.clone());
                    policy.opened.insert(opened);
                }
                if model.upstreams.len() > 1 {
                    let pool = (api.provider.clone(), model.name.clone());
                    policy.pools.insert(pool);
                }
                let named = model.price.as_ref().unwrap_or(&model.name);
                if let Some(price) = prices.get(named) {
                    let at = (api.name.clone(), model.name.clone());
                    policy.prices.insert(at, *price);
                }
            }
        }
        Ok(policy)
    }

    pub(crate) fn opens(&self, provider: &str, operation: &str, model: &str) -> bool {
        let wanted = (provider.to_owned(), operation.to_owned(), model.to_owned());
        self.opened.contains(&wanted)
    }

    /// Whether a call goes on to another upstream when one refuses it. Responses stay with the
    /// upstream that keeps them.
    pub(crate) fn goes_on(&self, provider: &str, operation: &str, model: &str) -> bool {
        let pool = (provider.to_owned(), model.to_owned());
        operation != "responses" && self.pools.contains(&pool)
    }

    pub(crate) fn price(&self, api: &str, model: &str) -> Price {
        let at = (api.to_owned(), model.to_owned());
        self.prices.get(&at).copied().unwrap_or_default()
    }
}

fn price(members: &BTreeMap<String, Value>) -> Result<Price, PolicyError> {
    let mut price = Price::default();
    for (place, name) in price.kinds.iter_mut().zip(PRICES) {
        *place = name
            .and_then(|name| members.get(name))
            .map(micros)
            .transpose()?;
    }
    price.per_request = members.get("per_request").map_or(Ok(0), micros)?;
    Ok(price)
}

/// An amount with at most six decimal places, in millionths.
fn micros(amount: &Value) -> Result<u64, PolicyError> {
    let text = match amount {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{part:0<6}")
        .parse()
        .ok()
        .filter(|_| part.len() <= 6)
        .ok_or(PolicyError::Amount(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_found_by_api_and_model() {
        let document = serde_yaml_ng::from_str(
            "apis:\n- {name: a, provider: openai, operations: [x], models: [{name: m, price: p}]}\n\
             prices:\n- {model: p, from: 2024-10-01, input_per_million: 375, per_request: \"0.5\"}\n",
        );
        let policy = Policy::of(document.unwrap()).unwrap();
        let price = policy.price("a", "m");
        assert_eq!(
            (price.kinds[0], price.per_request),
            (Some(375_000_000), 500_000)
        );
        assert!(policy.opens("openai", "x", "m") && !policy.opens("openai", "y", "m"));
        assert!(!policy.goes_on("openai", "x", "m"));
    }
}
