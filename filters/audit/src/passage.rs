//! What is known of a call so far. Filters of one chain hand it on from one to the next
//! through the proxy's filter state, which no client can write.

use sekisho_domain::{Micros, RecordId, UnixMillis, Usage};
use serde::{Deserialize, Serialize};

/// What is known of a call. Empty text: unknown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Passage {
    /// The call.
    pub record_id: RecordId,
    /// When its headers arrived.
    pub received: UnixMillis,
    /// HTTP method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Envoy's request id.
    pub request_id: String,
    /// The trace that the call is a part of.
    pub trace_id: String,
    /// Trusted client address.
    pub address: String,
    /// Directory tenant.
    pub tenant: String,
    /// Object id of the person or application.
    pub object_id: String,
    /// The company's id of the person.
    pub user: String,
    /// Who pays.
    pub department: String,
    /// The client application.
    pub application: String,
    /// The subscription key's id.
    pub key: String,
    /// API of the policy.
    pub api: String,
    /// Operation of the catalogue.
    pub operation: String,
    /// Model that was asked for, by the name under which it is offered.
    pub model: String,
    /// The name that the client wrote, where it is another.
    pub asked_model: String,
    /// The name that the upstream was given, where it is another.
    pub sent_model: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Output limit that was asked for, tokens.
    pub asked_output: Option<u64>,
    /// Answers that were asked for.
    pub choices: u64,
    /// Where the model's name stands in the body, bytes with quotes.
    pub model_span: Option<(u64, u64)>,
    /// Size of the request's body.
    pub request_bytes: u64,
    /// SHA-256 of the request's body, hexadecimal, where it is wanted.
    pub request_sha256: String,
    /// The most that it can use.
    pub worst: Usage,
    /// The most that it can cost.
    pub worst_cost: Micros,
    /// The price that applies: first day of its validity.
    pub price_from: String,
    /// Upstream that was chosen, or pool of upstreams.
    pub upstream: String,
    /// Whether `upstream` is a pool: only the answer tells who took the call.
    pub is_pooled: bool,
}
