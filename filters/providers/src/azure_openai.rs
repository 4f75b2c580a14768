//! Azure OpenAI: a deployment in the path, or the `v1` API with it in the body's `model`.
//! Source: `learn.microsoft.com/azure/ai-services/openai/reference`.

use sekisho_domain::{Modality, Provider};

use crate::openai::{
    AUDIO_SPEECH, AUDIO_TRANSCRIPTIONS, AUDIO_TRANSLATIONS, BATCHES, CHAT_COMPLETIONS, EMBEDDINGS,
    FILES, IMAGE_EDITS, IMAGE_GENERATIONS, MODELS, ONE_MODEL, REALTIME, RESPONSES,
    STORED_RESPONSES, at, operations, saying,
};
use crate::operation::{ModelPlace, Operation, RequestBody};
use crate::query::{Parameter, Values};

/// On every call; the API behaves as of that day.
const API_VERSION: Parameter = Parameter("api-version", Values::Word);

/// As OpenAI's, with an `api-version`.
const fn azure(method: &'static str, template: &'static str, operation: Operation) -> Operation {
    let operation = at(method, template, operation);
    Operation {
        provider: Provider::AzureOpenAi,
        query: if operation.query.is_empty() {
            &[API_VERSION]
        } else if operation.is_socket {
            &[API_VERSION, Parameter("model", Values::Word)]
        } else {
            LIST
        },
        ..operation
    }
}

/// Where the path names the deployment. Whatever a form says of its model there, nobody reads.
const fn deployed(template: &'static str, operation: Operation) -> Operation {
    Operation {
        model: ModelPlace::Path,
        request: match operation.request {
            RequestBody::Form => RequestBody::Opaque,
            body => body,
        },
        ..azure("POST", template, operation)
    }
}

/// Of lists and of stored responses.
const LIST: &[Parameter] = &[
    API_VERSION,
    Parameter("after", Values::Word),
    Parameter("limit", Values::Word),
    Parameter("order", Values::OneOf(&["asc", "desc"])),
    Parameter("purpose", Values::Word),
    Parameter("include[]", Values::Word),
    Parameter("include%5B%5D", Values::Word),
    Parameter("stream", Values::OneOf(&["true", "false"])),
    Parameter("starting_after", Values::Word),
    Parameter("include_obfuscation", Values::OneOf(&["true", "false"])),
];

const VIDEO: Operation = Operation {
    name: "video_generation_jobs",
    modality: Modality::Video,
    generates: false,
    ..EMBEDDINGS
};

pub(crate) const OPERATIONS: &[Operation] = operations!(
    "/openai/v1",
    azure,
    [
        deployed(
            "/openai/deployments/{model}/chat/completions",
            CHAT_COMPLETIONS
        ),
        deployed("/openai/deployments/{model}/embeddings", EMBEDDINGS),
        deployed(
            "/openai/deployments/{model}/images/generations",
            IMAGE_GENERATIONS
        ),
        deployed("/openai/deployments/{model}/images/edits", IMAGE_EDITS),
        deployed("/openai/deployments/{model}/audio/speech", AUDIO_SPEECH),
        deployed(
            "/openai/deployments/{model}/audio/transcriptions",
            AUDIO_TRANSCRIPTIONS
        ),
        deployed(
            "/openai/deployments/{model}/audio/translations",
            AUDIO_TRANSLATIONS
        ),
        // Beside the deployments, as of some `api-version`.
        Operation {
            model: ModelPlace::Query("deployment"),
            query: &[API_VERSION, Parameter("deployment", Values::Word)],
            ..azure("GET", "/openai/realtime", REALTIME)
        },
        azure("POST", "/openai/responses", RESPONSES),
        azure("GET", "/openai/responses/{id}", STORED_RESPONSES),
        azure("DELETE", "/openai/responses/{id}", STORED_RESPONSES),
        azure("POST", "/openai/responses/{id}/cancel", STORED_RESPONSES),
        azure(
            "GET",
            "/openai/responses/{id}/input_items",
            STORED_RESPONSES
        ),
        azure("POST", "/openai/files", FILES),
        azure("GET", "/openai/files", FILES),
        azure("GET", "/openai/files/{id}", FILES),
        azure("DELETE", "/openai/files/{id}", FILES),
        azure("GET", "/openai/files/{id}/content", FILES),
        azure("POST", "/openai/batches", saying(BATCHES)),
        azure("GET", "/openai/batches", BATCHES),
        azure("GET", "/openai/batches/{id}", BATCHES),
        azure("POST", "/openai/batches/{id}/cancel", BATCHES),
        azure("GET", "/openai/models", MODELS),
        azure("GET", "/openai/models/{model}", ONE_MODEL),
        azure("POST", "/openai/v1/video/generations/jobs", VIDEO),
    ]
);
