//! The decision where a call goes: which upstream, and what it is called there.

use sekisho_domain::policy::{Api, Model, Upstream};
use sekisho_domain::{Denial, DenialCode, Policy};

/// The header by which the proxy's route finds the cluster. Only the filter sets it: what
/// a client sends under this name is removed.
pub const CLUSTER_HEADER: &str = "x-sekisho-cluster";

/// Headers that are the gateway's own; no client's copy passes.
pub const INTERNAL_PREFIX: &str = "x-sekisho-";

/// Where a call goes.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'p> {
    /// The upstream; its name is the cluster's.
    pub upstream: &'p Upstream,
    /// What the model is called there, where that differs from what the client wrote.
    pub rename: Option<&'p str>,
}

/// The model that a client asks an API for.
///
/// # Errors
/// [`DenialCode::UnknownModel`] if the API does not offer it.
pub fn offered<'p>(api: &'p Api, model: &str) -> Result<&'p Model, Denial> {
    api.models
        .get(model)
        .ok_or_else(|| DenialCode::UnknownModel.into())
}

/// Chooses the upstream for a model.
///
/// # Errors
/// [`DenialCode::NoUpstream`] if the policy names none that exists.
pub fn select<'p>(policy: &'p Policy, model: &'p Model) -> Result<Destination<'p>, Denial> {
    let upstream = policy
        .upstreams
        .get(&model.upstream)
        .ok_or(DenialCode::NoUpstream)?;
    let rename = model
        .upstream_model
        .as_deref()
        .filter(|there| *there != model.name);
    Ok(Destination { upstream, rename })
}

/// The body with its model replaced. `span` is the model's JSON string with its quotes.
#[must_use]
pub fn body_with_model(body: &[u8], span: std::ops::Range<usize>, model: &str) -> Option<Vec<u8>> {
    let quoted = serde_json::to_vec(model).ok()?;
    let mut out = Vec::with_capacity(body.len() + quoted.len());
    out.extend_from_slice(body.get(..span.start)?);
    out.extend_from_slice(&quoted);
    out.extend_from_slice(body.get(span.end..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_models_value_changes() {
        let body = br#"{"model": "gpt-4o", "x": "gpt-4o"}"#;
        let out = body_with_model(body, 10..18, "a\"b").unwrap();
        assert_eq!(out, br#"{"model": "a\"b", "x": "gpt-4o"}"#);
        assert!(body_with_model(body, 10..99, "a").is_none());
    }
}
