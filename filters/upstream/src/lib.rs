//! The decision where a call goes: which upstream or pool of upstreams, and what the model is
//! called there.
//!
//! The filter chooses, the proxy carries out: a call of a model that runs in one place goes
//! straight to that upstream's cluster, of one that runs in several to a [`Pool`], in which the
//! proxy picks by weight and goes on to the next when one fails.

mod affinity;
mod pool;
mod selection;

pub use pool::{Member, Pool};
pub use selection::{Asked, Destination, Selection, keeps_state};

use sekisho_domain::policy::{Api, Model};
use sekisho_domain::{Denial, DenialCode};

/// The header by which the proxy's route finds the cluster. Only the filter sets it: what
/// a client sends under this name is removed.
pub const CLUSTER_HEADER: &str = "x-sekisho-cluster";

/// The header in which the proxy tells which upstream of a pool has answered.
pub const UPSTREAM_HEADER: &str = "x-sekisho-upstream";

/// The header in which the proxy tells how many upstreams of a pool were asked.
pub const ATTEMPTS_HEADER: &str = "x-sekisho-attempts";

/// Headers that are the gateway's own; no client's copy passes.
pub const INTERNAL_PREFIX: &str = "x-sekisho-";

/// The model that a client asks an API for.
///
/// # Errors
/// [`DenialCode::UnknownModel`] if the API does not offer it.
pub fn offered<'p>(api: &'p Api, model: &str) -> Result<&'p Model, Denial> {
    api.models
        .get(model)
        .ok_or_else(|| DenialCode::UnknownModel.into())
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
