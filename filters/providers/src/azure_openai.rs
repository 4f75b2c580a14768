//! Azure OpenAI: a deployment in the path, or the `v1` API with it in the body's `model`.
//! Source: `learn.microsoft.com/azure/ai-services/openai/reference`.

use sekisho_domain::{Modality, Provider};

use crate::openai::{ANSWER, CHAT, MODEL, RESPONSES};
use crate::operation::{ModelPlace, Operation, RequestBody};
use crate::query::{Parameter, Values};

/// On every call; the API behaves as of that day.
const API_VERSION: Parameter = Parameter("api-version", Values::Word);

const TEMPLATE: Operation = Operation {
    name: "",
    provider: Provider::AzureOpenAi,
    modality: Modality::Text,
    method: "POST",
    template: "",
    model: ModelPlace::Path,
    request: RequestBody::Json,
    generates: true,
    path_streams: false,
    free: false,
    slash_in_model: false,
    query: &[API_VERSION],
    members: &[],
    answer: &ANSWER,
};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "chat_completions",
        template: "/openai/deployments/{model}/chat/completions",
        members: CHAT,
        ..TEMPLATE
    },
    Operation {
        name: "chat_completions",
        template: "/openai/v1/chat/completions",
        model: ModelPlace::Body,
        members: CHAT,
        ..TEMPLATE
    },
    Operation {
        name: "responses",
        template: "/openai/responses",
        model: ModelPlace::Body,
        members: RESPONSES,
        ..TEMPLATE
    },
    Operation {
        name: "responses",
        template: "/openai/v1/responses",
        model: ModelPlace::Body,
        members: RESPONSES,
        ..TEMPLATE
    },
    Operation {
        name: "embeddings",
        template: "/openai/deployments/{model}/embeddings",
        generates: false,
        members: MODEL,
        ..TEMPLATE
    },
    Operation {
        name: "embeddings",
        template: "/openai/v1/embeddings",
        model: ModelPlace::Body,
        generates: false,
        members: MODEL,
        ..TEMPLATE
    },
    Operation {
        name: "audio_speech",
        modality: Modality::Audio,
        template: "/openai/deployments/{model}/audio/speech",
        generates: false,
        members: MODEL,
        ..TEMPLATE
    },
    Operation {
        name: "audio_transcriptions",
        modality: Modality::Audio,
        template: "/openai/deployments/{model}/audio/transcriptions",
        request: RequestBody::Opaque,
        generates: false,
        ..TEMPLATE
    },
    Operation {
        name: "video_generation_jobs",
        modality: Modality::Video,
        template: "/openai/v1/video/generations/jobs",
        model: ModelPlace::Body,
        generates: false,
        members: MODEL,
        ..TEMPLATE
    },
];
