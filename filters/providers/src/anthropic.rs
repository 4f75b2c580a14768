//! Anthropic's Messages API.
//! Source: `docs.anthropic.com/en/api/messages`, `.../messages-streaming`, `.../errors`.

use sekisho_domain::{DenialCode, Modality, Provider};

use crate::json::{Kind, Member};
use crate::openai::{MODEL, member};
use crate::operation::{ModelPlace, Operation, RequestBody};
use crate::query::{Parameter, Values};
use crate::request::Field;
use crate::usage::{Answer, Complete, Figure};

/// What the SDK's `beta` client says.
const BETA: Parameter = Parameter("beta", Values::OneOf(&["true"]));

const TEMPLATE: Operation = Operation {
    name: "",
    provider: Provider::Anthropic,
    modality: Modality::Text,
    method: "POST",
    template: "",
    model: ModelPlace::Body,
    request: RequestBody::Json,
    generates: true,
    path_streams: false,
    is_socket: false,
    free: false,
    counts_bytes: true,
    slash_in_model: false,
    told_by: None,
    limit: None,
    usage_option: None,
    query: &[BETA],
    members: &[],
    answer: &ANSWER,
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "messages",
        template: "/v1/messages",
        members: MESSAGES,
        limit: Some(&["max_tokens"]),
        ..TEMPLATE
    },
    Operation {
        name: "count_tokens",
        template: "/v1/messages/count_tokens",
        generates: false,
        free: true,
        members: MODEL,
        ..TEMPLATE
    },
    Operation {
        template: "/v1/models",
        ..MODELS
    },
    Operation {
        template: "/v1/models/{model}",
        model: ModelPlace::Path,
        ..MODELS
    },
    Operation {
        method: "POST",
        template: "/v1/messages/batches",
        request: RequestBody::Json,
        ..BATCHES
    },
    Operation {
        template: "/v1/messages/batches",
        ..BATCHES
    },
    Operation {
        template: "/v1/messages/batches/{id}",
        ..BATCHES
    },
    Operation {
        method: "DELETE",
        template: "/v1/messages/batches/{id}",
        ..BATCHES
    },
    Operation {
        method: "POST",
        template: "/v1/messages/batches/{id}/cancel",
        ..BATCHES
    },
    Operation {
        template: "/v1/messages/batches/{id}/results",
        ..BATCHES
    },
];

const MODELS: Operation = Operation {
    name: "models",
    method: "GET",
    model: ModelPlace::Nowhere,
    request: RequestBody::Opaque,
    generates: false,
    free: true,
    // OpenAI has its list at the same path.
    told_by: Some("anthropic-version"),
    query: LIST,
    ..TEMPLATE
};

/// A batch names a model in each of its requests, and is computed when nobody waits.
const BATCHES: Operation = Operation {
    name: "message_batches",
    free: false,
    told_by: None,
    ..MODELS
};

/// Of lists.
const LIST: &[Parameter] = &[
    BETA,
    Parameter("limit", Values::Word),
    Parameter("after_id", Values::Word),
    Parameter("before_id", Values::Word),
];

const MESSAGES: &[Member<Field>] = &[
    member("model", Field::Model, Kind::Text),
    member("max_tokens", Field::MaxOutput(0), Kind::Count),
    member("stream", Field::Stream, Kind::Flag),
];

/// Usage of a whole answer, and of `message_delta`, where it is cumulative.
/// `input_tokens` counts neither what the cache gave nor what it took; `output_tokens`
/// includes what was thought.
pub(crate) const USAGE: &[Member<Figure>] = &[
    member("input_tokens", Figure::Input, Kind::Count),
    member(
        "cache_creation_input_tokens",
        Figure::CacheWrite,
        Kind::Count,
    ),
    member("cache_read_input_tokens", Figure::CacheRead, Kind::Count),
    member("output_tokens", Figure::Output, Kind::Count),
    member("output_tokens_details", Figure::Within, THOUGHT),
];

/// What of the output was thought.
pub(crate) const THOUGHT: Kind<Figure> =
    Kind::Object(&[member("thinking_tokens", Figure::Reasoning, Kind::Count)]);

/// Usage of `message_start`: the output has only begun.
pub(crate) const START: &[Member<Figure>] = &[member(
    "usage",
    Figure::Within,
    Kind::Object(&[
        member("input_tokens", Figure::Input, Kind::Count),
        member(
            "cache_creation_input_tokens",
            Figure::CacheWrite,
            Kind::Count,
        ),
        member("cache_read_input_tokens", Figure::CacheRead, Kind::Count),
    ]),
)];

const ANSWER: Answer = Answer {
    members: &[
        member("usage", Figure::Within, Kind::Object(USAGE)),
        member("message", Figure::Within, Kind::Object(START)),
    ],
    complete: Complete::Output,
    only_under_usage: true,
    draws: false,
};

/// The `type` of an error body.
pub(crate) fn error_type(code: DenialCode) -> &'static str {
    match code.status() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
