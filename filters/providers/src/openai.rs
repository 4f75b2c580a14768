//! OpenAI, and whoever speaks its wire.
//! Source: OpenAI API reference, `platform.openai.com/docs/api-reference`.

use sekisho_domain::{DenialCode, Modality, Provider};

use crate::json::{Kind, Member};
use crate::operation::{ModelPlace, Operation, RequestBody};
use crate::request::Field;
use crate::usage::{Answer, Complete, Figure};

const TEMPLATE: Operation = Operation {
    name: "",
    provider: Provider::OpenAi,
    modality: Modality::Text,
    method: "POST",
    template: "",
    model: ModelPlace::Body,
    request: RequestBody::Json,
    generates: true,
    path_streams: false,
    free: false,
    slash_in_model: false,
    query: &[],
    members: &[],
    answer: &ANSWER,
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "chat_completions",
        template: "/v1/chat/completions",
        members: CHAT,
        ..TEMPLATE
    },
    Operation {
        name: "responses",
        template: "/v1/responses",
        members: RESPONSES,
        ..TEMPLATE
    },
    Operation {
        name: "embeddings",
        template: "/v1/embeddings",
        generates: false,
        members: MODEL,
        ..TEMPLATE
    },
    Operation {
        name: "models",
        method: "GET",
        template: "/v1/models",
        model: ModelPlace::Nowhere,
        request: RequestBody::Opaque,
        generates: false,
        free: true,
        ..TEMPLATE
    },
];

/// Shorthand for tables of members.
pub(crate) const fn member<F>(key: &'static str, field: F, kind: Kind<F>) -> Member<F> {
    Member { key, field, kind }
}

/// `model` alone.
pub(crate) const MODEL: &[Member<Field>] = &[member("model", Field::Model, Kind::Text)];

/// Chat completions. `max_tokens` is the older name; a server may honour either.
pub(crate) const CHAT: &[Member<Field>] = &[
    member("model", Field::Model, Kind::Text),
    member("max_tokens", Field::MaxOutput(0), Kind::Count),
    member("max_completion_tokens", Field::MaxOutput(1), Kind::Count),
    member("n", Field::Choices, Kind::Count),
    member("stream", Field::Stream, Kind::Flag),
    member(
        "stream_options",
        Field::Within(0),
        Kind::Object(&[member("include_usage", Field::IncludeUsage, Kind::Flag)]),
    ),
];

/// Responses.
pub(crate) const RESPONSES: &[Member<Field>] = &[
    member("model", Field::Model, Kind::Text),
    member("max_output_tokens", Field::MaxOutput(0), Kind::Count),
    member("stream", Field::Stream, Kind::Flag),
];

/// What the input consists of.
const INPUT: Kind<Figure> = Kind::Object(&[
    member("cached_tokens", Figure::CachedInput, Kind::Count),
    member("cache_write_tokens", Figure::CacheWriteInput, Kind::Count),
    member("audio_tokens", Figure::AudioInput, Kind::Count),
    member("image_tokens", Figure::ImageInput, Kind::Count),
]);

/// What the output consists of.
const OUTPUT: Kind<Figure> = Kind::Object(&[
    member("reasoning_tokens", Figure::Reasoning, Kind::Count),
    member("audio_tokens", Figure::AudioOutput, Kind::Count),
    member("image_tokens", Figure::ImageOutput, Kind::Count),
]);

/// `prompt_tokens` and `input_tokens` include what was cached, the others what was thought.
/// Transcriptions have `input_token_details`, in the singular.
const USAGE: &[Member<Figure>] = &[
    member("prompt_tokens", Figure::Input, Kind::Count),
    member("completion_tokens", Figure::Output, Kind::Count),
    member("prompt_tokens_details", Figure::Within, INPUT),
    member("completion_tokens_details", Figure::Within, OUTPUT),
    member("input_tokens", Figure::Input, Kind::Count),
    member("output_tokens", Figure::Output, Kind::Count),
    member("input_tokens_details", Figure::Within, INPUT),
    member("input_token_details", Figure::Within, INPUT),
    member("output_tokens_details", Figure::Within, OUTPUT),
];

/// Usage stands at the top, or in the `response` of the last event of a responses stream.
pub(crate) const ANSWER: Answer = Answer {
    members: &[
        member("usage", Figure::Within, Kind::Object(USAGE)),
        member(
            "response",
            Figure::Within,
            Kind::Object(&[member("usage", Figure::Within, Kind::Object(USAGE))]),
        ),
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
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}
