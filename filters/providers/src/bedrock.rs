//! AWS Bedrock Runtime.
//! Source: `docs.aws.amazon.com/bedrock/latest/APIReference` (Converse, InvokeModel and
//! their streams), `.../userguide/model-parameters.html`.

use sekisho_domain::{DenialCode, Modality, Provider};

use crate::anthropic;
use crate::json::{Kind, Member};
use crate::openai::member;
use crate::operation::{ModelPlace, Operation, RequestBody};
use crate::request::Field;
use crate::usage::{Answer, Complete, Figure};

const TEMPLATE: Operation = Operation {
    name: "",
    provider: Provider::Bedrock,
    modality: Modality::Text,
    method: "POST",
    template: "",
    model: ModelPlace::Path,
    request: RequestBody::Json,
    generates: true,
    path_streams: false,
    is_socket: false,
    free: false,
    counts_bytes: true,
    slash_in_model: true,
    told_by: None,
    limit: None,
    usage_option: None,
    query: &[],
    members: &[],
    answer: &ANSWER,
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "converse",
        template: "/model/{model}/converse",
        members: CONVERSE,
        limit: Some(&["inferenceConfig", "maxTokens"]),
        ..TEMPLATE
    },
    Operation {
        name: "converse_stream",
        template: "/model/{model}/converse-stream",
        path_streams: true,
        members: CONVERSE,
        limit: Some(&["inferenceConfig", "maxTokens"]),
        ..TEMPLATE
    },
    Operation {
        name: "invoke",
        template: "/model/{model}/invoke",
        members: INVOKE,
        ..TEMPLATE
    },
    Operation {
        name: "invoke_stream",
        template: "/model/{model}/invoke-with-response-stream",
        path_streams: true,
        members: INVOKE,
        ..TEMPLATE
    },
    Operation {
        name: "count_tokens",
        template: "/model/{model}/count-tokens",
        generates: false,
        free: true,
        ..TEMPLATE
    },
];

/// `additionalModelRequestFields` go to the model as they are, under its own names; a
/// limit there may win over `maxTokens`.
const CONVERSE: &[Member<Field>] = &[
    member(
        "inferenceConfig",
        Field::Within(0),
        Kind::Object(&[member("maxTokens", Field::MaxOutput(0), Kind::Count)]),
    ),
    member(
        "additionalModelRequestFields",
        Field::Within(1),
        Kind::Object(&[
            member("max_tokens", Field::Override(0), Kind::Count),
            member("max_tokens_to_sample", Field::Override(1), Kind::Count),
            member("max_gen_len", Field::Override(2), Kind::Count),
            member("max_new_tokens", Field::Override(3), Kind::Count),
            member("max_completion_tokens", Field::Override(4), Kind::Count),
            member("maxTokens", Field::Override(5), Kind::Count),
            member("maxTokenCount", Field::Override(6), Kind::Count),
        ]),
    ),
];

/// Every family names its limit its own way; the largest counts.
const INVOKE: &[Member<Field>] = &[
    member("max_tokens", Field::MaxOutput(0), Kind::Count),
    member("max_tokens_to_sample", Field::MaxOutput(1), Kind::Count),
    member("max_gen_len", Field::MaxOutput(2), Kind::Count),
    member("max_completion_tokens", Field::MaxOutput(3), Kind::Count),
    member("maxTokens", Field::MaxOutput(4), Kind::Count),
    member(
        "inferenceConfig",
        Field::Within(0),
        Kind::Object(&[
            member("maxTokens", Field::MaxOutput(5), Kind::Count),
            member("max_new_tokens", Field::MaxOutput(6), Kind::Count),
        ]),
    ),
    member(
        "textGenerationConfig",
        Field::Within(1),
        Kind::Object(&[member("maxTokenCount", Field::MaxOutput(7), Kind::Count)]),
    ),
];

/// Converse counts in camel case; InvokeModel answers as the model's family does.
/// `inputTokens` counts neither what the cache gave nor what it took.
const USAGE: &[Member<Figure>] = &[
    member("inputTokens", Figure::Input, Kind::Count),
    member("outputTokens", Figure::Output, Kind::Count),
    member("cacheReadInputTokens", Figure::CacheRead, Kind::Count),
    member("cacheWriteInputTokens", Figure::CacheWrite, Kind::Count),
    // Amazon Nova by InvokeModel.
    member("cacheReadInputTokenCount", Figure::CacheRead, Kind::Count),
    member("cacheWriteInputTokenCount", Figure::CacheWrite, Kind::Count),
    member("input_tokens", Figure::Input, Kind::Count),
    member(
        "cache_creation_input_tokens",
        Figure::CacheWrite,
        Kind::Count,
    ),
    member("cache_read_input_tokens", Figure::CacheRead, Kind::Count),
    member("output_tokens", Figure::Output, Kind::Count),
    member("output_tokens_details", Figure::Within, anthropic::THOUGHT),
    member("prompt_tokens", Figure::Input, Kind::Count),
    member("completion_tokens", Figure::Output, Kind::Count),
];

const METRICS: &[Member<Figure>] = &[
    member("inputTokenCount", Figure::Input, Kind::Count),
    member("outputTokenCount", Figure::Output, Kind::Count),
    member("cacheReadInputTokenCount", Figure::CacheRead, Kind::Count),
    member("cacheWriteInputTokenCount", Figure::CacheWrite, Kind::Count),
];

const ANSWER: Answer = Answer {
    members: &[
        member("usage", Figure::Within, Kind::Object(USAGE)),
        member("message", Figure::Within, Kind::Object(anthropic::START)),
        member(
            "amazon-bedrock-invocationMetrics",
            Figure::Within,
            Kind::Object(METRICS),
        ),
        // Meta Llama.
        member("prompt_token_count", Figure::Input, Kind::Count),
        member("generation_token_count", Figure::Output, Kind::Count),
        // Amazon Titan embeddings.
        member("inputTextTokenCount", Figure::Input, Kind::Count),
    ],
    complete: Complete::Output,
    only_under_usage: false,
    draws: false,
};

/// The exception that the AWS SDKs raise.
pub(crate) fn exception(code: DenialCode) -> &'static str {
    match (code, code.status()) {
        (DenialCode::ExpiredToken, _) => "ExpiredTokenException",
        (_, 401) => "UnrecognizedClientException",
        (_, 403) => "AccessDeniedException",
        (_, 404) => "ResourceNotFoundException",
        (_, 429) => "ThrottlingException",
        (_, 503) => "ServiceUnavailableException",
        (_, 500..) => "InternalServerException",
        _ => "ValidationException",
    }
}
