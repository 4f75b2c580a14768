//! Any other HTTP API: its paths are the policy's.

use sekisho_domain::policy::PathMeter;
use sekisho_domain::{Modality, Provider};

use crate::operation::{ModelPlace, Operation, RequestBody};
use crate::query::{Parameter, Values};
use crate::usage::{Answer, Complete};

const BY_REQUEST: Operation = Operation {
    name: "requests",
    provider: Provider::Http,
    modality: Modality::Text,
    method: "",
    template: "",
    model: ModelPlace::Nowhere,
    request: RequestBody::Opaque,
    generates: false,
    path_streams: false,
    is_socket: false,
    free: false,
    counts_bytes: false,
    slash_in_model: false,
    told_by: None,
    limit: None,
    usage_option: None,
    // The upstream is the company's own choice, and so is what it reads from a query.
    query: &[Parameter("", Values::Anything)],
    members: &[],
    answer: &Answer {
        members: &[],
        complete: Complete::Output,
        only_under_usage: true,
        draws: false,
    },
};

const BY_BYTES: Operation = Operation {
    name: "bytes",
    counts_bytes: true,
    ..BY_REQUEST
};

/// No policy opens them by name: method and template are the policy's.
pub(crate) const OPERATIONS: &[Operation] = &[BY_REQUEST, BY_BYTES];

/// What a path of the policy is.
pub(crate) const fn operation(meter: PathMeter) -> &'static Operation {
    match meter {
        PathMeter::Requests => &BY_REQUEST,
        PathMeter::Bytes => &BY_BYTES,
    }
}
