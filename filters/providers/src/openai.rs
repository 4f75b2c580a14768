//! OpenAI, and whoever speaks its wire.
//! Source: OpenAI API reference, `platform.openai.com/docs/api-reference`.

use sekisho_domain::{DenialCode, Modality, Provider};

use crate::json::{Kind, Member};
use crate::operation::{ModelPlace, Operation, RequestBody};
use crate::query::{Parameter, Values};
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
    is_socket: false,
    free: false,
    counts_bytes: true,
    slash_in_model: false,
    told_by: None,
    limit: None,
    usage_option: None,
    query: &[],
    members: &[],
    answer: &ANSWER,
};

pub(crate) const CHAT_COMPLETIONS: Operation = Operation {
    name: "chat_completions",
    members: CHAT,
    limit: Some(&["max_completion_tokens"]),
    usage_option: Some(&["stream_options", "include_usage"]),
    ..TEMPLATE
};

pub(crate) const RESPONSES: Operation = Operation {
    name: "responses",
    members: RESPONSES_MEMBERS,
    limit: Some(&["max_output_tokens"]),
    ..TEMPLATE
};

/// What became of a response, its input, its end.
pub(crate) const STORED_RESPONSES: Operation = Operation {
    name: "stored_responses",
    query: STORED,
    ..ABOUT_NO_MODEL
};

pub(crate) const EMBEDDINGS: Operation = Operation {
    name: "embeddings",
    generates: false,
    members: MODEL,
    ..TEMPLATE
};

pub(crate) const IMAGE_GENERATIONS: Operation = Operation {
    name: "image_generations",
    modality: Modality::Image,
    members: IMAGES,
    answer: &PICTURES,
    ..TEMPLATE
};

pub(crate) const IMAGE_EDITS: Operation = Operation {
    name: "image_edits",
    request: RequestBody::Form,
    ..IMAGE_GENERATIONS
};

pub(crate) const AUDIO_SPEECH: Operation = Operation {
    name: "audio_speech",
    modality: Modality::Audio,
    generates: false,
    members: MODEL,
    ..TEMPLATE
};

pub(crate) const AUDIO_TRANSCRIPTIONS: Operation = Operation {
    name: "audio_transcriptions",
    request: RequestBody::Form,
    generates: true,
    members: TRANSCRIPTION,
    ..AUDIO_SPEECH
};

pub(crate) const AUDIO_TRANSLATIONS: Operation = Operation {
    name: "audio_translations",
    ..AUDIO_TRANSCRIPTIONS
};

/// A conversation over a WebSocket. Every answer in it is charged for all that was said before.
/// Source: `platform.openai.com/docs/guides/realtime-websocket`.
pub(crate) const REALTIME: Operation = Operation {
    name: "realtime",
    modality: Modality::Audio,
    method: "GET",
    model: ModelPlace::Query("model"),
    request: RequestBody::Opaque,
    is_socket: true,
    query: &[Parameter("model", Values::Word)],
    ..TEMPLATE
};

/// Files for batches and for models to look at.
pub(crate) const FILES: Operation = Operation {
    name: "files",
    query: LIST,
    ..ABOUT_NO_MODEL
};

/// A batch names its models in a file, and is computed when nobody waits.
pub(crate) const BATCHES: Operation = Operation {
    name: "batches",
    query: LIST,
    ..ABOUT_NO_MODEL
};

pub(crate) const MODELS: Operation = Operation {
    name: "models",
    free: true,
    ..ABOUT_NO_MODEL
};

/// Most of them read, or say all in their path.
const ABOUT_NO_MODEL: Operation = Operation {
    method: "GET",
    model: ModelPlace::Nowhere,
    request: RequestBody::Opaque,
    generates: false,
    ..TEMPLATE
};

/// Of lists.
const LIST: &[Parameter] = &[
    Parameter("after", Values::Word),
    Parameter("limit", Values::Word),
    Parameter("order", Values::OneOf(&["asc", "desc"])),
    Parameter("purpose", Values::Word),
];

/// Of stored responses.
const STORED: &[Parameter] = &[
    Parameter("after", Values::Word),
    Parameter("limit", Values::Word),
    Parameter("order", Values::OneOf(&["asc", "desc"])),
    Parameter("include[]", Values::Word),
    Parameter("include%5B%5D", Values::Word),
    Parameter("stream", Values::OneOf(&["true", "false"])),
    Parameter("starting_after", Values::Word),
    Parameter("include_obfuscation", Values::OneOf(&["true", "false"])),
];

/// `operation` at a method and a path.
pub(crate) const fn at(
    method: &'static str,
    template: &'static str,
    operation: Operation,
) -> Operation {
    Operation {
        method,
        template,
        ..operation
    }
}

/// With a JSON object as its body.
pub(crate) const fn saying(operation: Operation) -> Operation {
    Operation {
        request: RequestBody::Json,
        ..operation
    }
}

/// The operations under a prefix, and more: those of OpenAI are those of Azure's `v1` API.
macro_rules! operations {
    ($prefix:literal, $adapted:path, [$($more:expr),* $(,)?]) => {
        &[
            $($more,)*
            $adapted("POST", concat!($prefix, "/chat/completions"), CHAT_COMPLETIONS),
            $adapted("POST", concat!($prefix, "/responses"), RESPONSES),
            $adapted("GET", concat!($prefix, "/responses/{id}"), STORED_RESPONSES),
            $adapted("DELETE", concat!($prefix, "/responses/{id}"), STORED_RESPONSES),
            $adapted("POST", concat!($prefix, "/responses/{id}/cancel"), STORED_RESPONSES),
            $adapted("GET", concat!($prefix, "/responses/{id}/input_items"), STORED_RESPONSES),
            $adapted("POST", concat!($prefix, "/embeddings"), EMBEDDINGS),
            $adapted("POST", concat!($prefix, "/images/generations"), IMAGE_GENERATIONS),
            $adapted("POST", concat!($prefix, "/images/edits"), IMAGE_EDITS),
            $adapted("POST", concat!($prefix, "/audio/speech"), AUDIO_SPEECH),
            $adapted("POST", concat!($prefix, "/audio/transcriptions"), AUDIO_TRANSCRIPTIONS),
            $adapted("POST", concat!($prefix, "/audio/translations"), AUDIO_TRANSLATIONS),
            $adapted("POST", concat!($prefix, "/files"), FILES),
            $adapted("GET", concat!($prefix, "/files"), FILES),
            $adapted("GET", concat!($prefix, "/files/{id}"), FILES),
            $adapted("DELETE", concat!($prefix, "/files/{id}"), FILES),
            $adapted("GET", concat!($prefix, "/files/{id}/content"), FILES),
            $adapted("POST", concat!($prefix, "/batches"), saying(BATCHES)),
            $adapted("GET", concat!($prefix, "/batches"), BATCHES),
            $adapted("GET", concat!($prefix, "/batches/{id}"), BATCHES),
            $adapted("POST", concat!($prefix, "/batches/{id}/cancel"), BATCHES),
            $adapted("GET", concat!($prefix, "/realtime"), REALTIME),
            $adapted("GET", concat!($prefix, "/models"), MODELS),
            $adapted("GET", concat!($prefix, "/models/{model}"), ONE_MODEL),
        ]
    };
}

/// What is said of one model.
pub(crate) const ONE_MODEL: Operation = Operation {
    model: ModelPlace::Path,
    ..MODELS
};

pub(crate) const OPERATIONS: &[Operation] = operations!("/v1", at, []);

pub(crate) use operations;

/// Shorthand for tables of members.
pub(crate) const fn member<F>(key: &'static str, field: F, kind: Kind<F>) -> Member<F> {
    Member { key, field, kind }
}

/// Pictures: how many.
const IMAGES: &[Member<Field>] = &[
    member("model", Field::Model, Kind::Text),
    member("n", Field::Choices, Kind::Count),
    member("stream", Field::Stream, Kind::Flag),
];

/// Transcriptions.
const TRANSCRIPTION: &[Member<Field>] = &[
    member("model", Field::Model, Kind::Text),
    member("stream", Field::Stream, Kind::Flag),
];

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
const RESPONSES_MEMBERS: &[Member<Field>] = &[
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
/// Transcriptions and realtime sessions have `input_token_details`, in the singular.
pub(crate) const USAGE: &[Member<Figure>] = &[
    member("prompt_tokens", Figure::Input, Kind::Count),
    member("completion_tokens", Figure::Output, Kind::Count),
    member("prompt_tokens_details", Figure::Within, INPUT),
    member("completion_tokens_details", Figure::Within, OUTPUT),
    member("input_tokens", Figure::Input, Kind::Count),
    member("output_tokens", Figure::Output, Kind::Count),
    member("input_tokens_details", Figure::Within, INPUT),
    member("input_token_details", Figure::Within, INPUT),
    member("output_tokens_details", Figure::Within, OUTPUT),
    member("output_token_details", Figure::Within, OUTPUT),
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

/// Images are pictures, unless a part of them is said to be text.
const PICTURES: Answer = Answer {
    draws: true,
    ..ANSWER
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
