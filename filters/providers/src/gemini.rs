//! Google Gemini (Generative Language API).
//! Source: `ai.google.dev/api/generate-content`, `.../tokens`, `.../embeddings`.

use sekisho_domain::{DenialCode, Modality, Provider};

use crate::json::{Kind, Member};
use crate::openai::member;
use crate::operation::{ModelPlace, Operation, RequestBody};
use crate::query::{Parameter, Values};
use crate::request::Field;
use crate::usage::{Answer, Complete, Figure};

/// Of Google's system parameters (`cloud.google.com/apis/docs/system-parameters`) only those
/// that choose the answer's form. Others are credentials (`key`, `access_token`), or put another
/// method, other headers or another body in the request's place (`$httpMethod`, `$httpHeaders`,
/// `$req`).
const QUERY: &[Parameter] = &[
    Parameter("alt", FORMS),
    Parameter("$alt", FORMS),
    Parameter("%24alt", FORMS),
    Parameter("prettyPrint", Values::OneOf(&["true", "false"])),
];

/// Of lists.
const LIST: &[Parameter] = &[
    Parameter("pageSize", Values::Word),
    Parameter("pageToken", Values::Word),
];

const FORMS: Values = Values::OneOf(&["sse", "json", "json%3Benum-encoding%3Dint"]);

const TEMPLATE: Operation = Operation {
    name: "",
    provider: Provider::Gemini,
    modality: Modality::Text,
    method: "POST",
    template: "",
    model: ModelPlace::Path,
    request: RequestBody::Json,
    generates: false,
    path_streams: false,
    is_socket: false,
    free: false,
    counts_bytes: true,
    slash_in_model: false,
    told_by: None,
    limit: None,
    usage_option: None,
    query: QUERY,
    members: &[],
    answer: &ANSWER,
};

pub(crate) const GENERATE: Operation = Operation {
    name: "generate_content",
    generates: true,
    members: GENERATE_MEMBERS,
    limit: Some(&["generationConfig", "maxOutputTokens"]),
    ..TEMPLATE
};

pub(crate) const STREAM: Operation = Operation {
    name: "stream_generate_content",
    path_streams: true,
    ..GENERATE
};

pub(crate) const COUNT: Operation = Operation {
    name: "count_tokens",
    free: true,
    ..TEMPLATE
};

pub(crate) const EMBED: Operation = Operation {
    name: "embed_content",
    ..TEMPLATE
};

const MODELS: Operation = Operation {
    name: "models",
    method: "GET",
    model: ModelPlace::Nowhere,
    request: RequestBody::Opaque,
    free: true,
    query: LIST,
    ..TEMPLATE
};

const ONE_MODEL: Operation = Operation {
    model: ModelPlace::Path,
    ..MODELS
};

/// What google-genai calls for every embedding.
const EMBED_BATCH: Operation = Operation {
    name: "batch_embed_contents",
    ..TEMPLATE
};

const fn at(template: &'static str, operation: Operation) -> Operation {
    Operation {
        template,
        ..operation
    }
}

pub(crate) const OPERATIONS: &[Operation] = &[
    at("/v1beta/models/{model}:generateContent", GENERATE),
    at("/v1/models/{model}:generateContent", GENERATE),
    at("/v1beta/models/{model}:streamGenerateContent", STREAM),
    at("/v1/models/{model}:streamGenerateContent", STREAM),
    at("/v1beta/models/{model}:countTokens", COUNT),
    at("/v1/models/{model}:countTokens", COUNT),
    at("/v1beta/models/{model}:embedContent", EMBED),
    at("/v1/models/{model}:embedContent", EMBED),
    at("/v1beta/models/{model}:batchEmbedContents", EMBED_BATCH),
    at("/v1/models/{model}:batchEmbedContents", EMBED_BATCH),
    at("/v1beta/models", MODELS),
    at("/v1/models", MODELS),
    at("/v1beta/models/{model}", ONE_MODEL),
    at("/v1/models/{model}", ONE_MODEL),
];

/// Protocol buffers in JSON: parsers take the original snake-case names as well.
const CONFIG: Kind<Field> = Kind::Object(&[
    member("maxOutputTokens", Field::MaxOutput(0), Kind::Count),
    member("max_output_tokens", Field::MaxOutput(0), Kind::Count),
    member("candidateCount", Field::Choices, Kind::Count),
    member("candidate_count", Field::Choices, Kind::Count),
]);

const GENERATE_MEMBERS: &[Member<Field>] = &[
    member("generationConfig", Field::Within(0), CONFIG),
    member("generation_config", Field::Within(0), CONFIG),
];

/// Tokens by modality: `TEXT`, `IMAGE`, `VIDEO`, `AUDIO`, `DOCUMENT`.
const MODALITIES: Kind<Figure> = Kind::Each(&[
    member("modality", Figure::Modality, Kind::Text),
    member("tokenCount", Figure::OfModality, Kind::Count),
]);

/// Every part of a stream carries figures up to there; the last one has a reason to end.
/// `promptTokenCount` includes what was cached; thoughts are billed as output.
const ANSWER: Answer = Answer {
    members: &[
        member(
            "usageMetadata",
            Figure::Within,
            Kind::Object(&[
                member("promptTokenCount", Figure::Input, Kind::Count),
                member("toolUsePromptTokenCount", Figure::ToolInput, Kind::Count),
                member("candidatesTokenCount", Figure::Output, Kind::Count),
                member("thoughtsTokenCount", Figure::Thoughts, Kind::Count),
                member("cachedContentTokenCount", Figure::CachedInput, Kind::Count),
                member("promptTokensDetails", Figure::InputModalities, MODALITIES),
                member(
                    "toolUsePromptTokensDetails",
                    Figure::ToolModalities,
                    MODALITIES,
                ),
                member(
                    "candidatesTokensDetails",
                    Figure::OutputModalities,
                    MODALITIES,
                ),
            ]),
        ),
        member(
            "candidates",
            Figure::Within,
            Kind::Each(&[member("finishReason", Figure::End, Kind::Text)]),
        ),
        member(
            "promptFeedback",
            Figure::Within,
            Kind::Object(&[member("blockReason", Figure::End, Kind::Text)]),
        ),
    ],
    complete: Complete::End,
    only_under_usage: false,
    draws: false,
};

/// The canonical status of an error body (google.rpc.Code).
pub(crate) fn error_status(code: DenialCode) -> &'static str {
    match code.status() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}
