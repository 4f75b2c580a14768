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
