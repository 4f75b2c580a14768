//! The forms that a call may have: one for each provider, operation and framing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Planned;

/// A form of a call.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// The stand-in that serves it.
    pub(crate) provider: &'static str,
    /// As the policy names the provider, the operation and the model.
    pub(crate) policy: (&'static str, &'static str, &'static str),
    pub(crate) path: &'static str,
    wire: Wire,
    /// The answer comes in pieces.
    pub(crate) streams: bool,
    /// The provider tells of thoughts.
    pub(crate) thinks: bool,
    /// The provider tells of a cache.
    pub(crate) caches: bool,
    /// A stream asks for its usage, where it has to.
    asks: bool,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Chat,
    Responses,
    Embeddings,
    Messages,
    Converse,
    Invoke,
    Generate,
    EmbedContent,
    EmbedBatch,
    Image,
    Speech,
    Transcription,
}

const CLAUDE: &str = "claude-3-5-sonnet-20240620";
const BEDROCK: &str = "anthropic.claude-3-5-sonnet-20240620-v1:0";
const GEMINI: &str = "gemini-2.0-flash";
const EMBEDDING: &str = "gemini-embedding-001";
const SMALL: &str = "text-embedding-3-small";
/// Room for every answer that a prompt of the mix asks for.
const LIMIT: u64 = 256;
const BOUNDARY: &str = "sekisho-demo-boundary";

const fn shape(
    name: &'static str,
    provider: &'static str,
    policy: (&'static str, &'static str, &'static str),
    path: &'static str,
    wire: Wire,
    streams: bool,
) -> Shape {
    Shape {
        name,
        provider,
        policy,
        path,
        wire,
        streams,
        thinks: matches!(wire, Wire::Chat | Wire::Responses | Wire::Generate),
        caches: matches!(
            wire,
            Wire::Chat | Wire::Responses | Wire::Messages | Wire::Converse | Wire::Invoke
        ),
        asks: matches!(wire, Wire::Chat),
    }
}

const OPENAI_CHAT: (&str, &str, &str) = ("openai", "chat_completions", "gpt-4o");
const OPENAI_RESPONSES: (&str, &str, &str) = ("openai", "responses", "gpt-4o");
const AZURE_CHAT: (&str, &str, &str) = ("azure_openai", "chat_completions", "gpt-4o");
const AZURE_RESPONSES: (&str, &str, &str) = ("azure_openai", "responses", "gpt-4o");
const AZURE_PATH: &str = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21";
const MESSAGES: (&str, &str, &str) = ("anthropic", "messages", CLAUDE);
const OPENAI: &str = "openai-compatible";
const AZURE: &str = "azure-openai";
const HEARD: (&str, &str, &str) = ("openai", "audio_transcriptions", "gpt-4o-transcribe");

/// All forms; a policy that does not open one leaves it out.
pub(crate) const SHAPES: &[Shape] = &[
    shape(
        "OpenAI chat",
        OPENAI,
        OPENAI_CHAT,
        "/v1/chat/completions",
        Wire::Chat,
        false,
    ),
    shape(
        "OpenAI chat, SSE",
        OPENAI,
        OPENAI_CHAT,
        "/v1/chat/completions",
        Wire::Chat,
        true,
    ),
    Shape {
        asks: false,
        ..shape(
            "OpenAI chat, SSE, usage not asked for",
            OPENAI,
            OPENAI_CHAT,
            "/v1/chat/completions",
            Wire::Chat,
            true,
        )
    },
    shape(
        "OpenAI responses",
        OPENAI,
        OPENAI_RESPONSES,
        "/v1/responses",
        Wire::Responses,
        false,
    ),
    shape(
        "OpenAI responses, SSE",
        OPENAI,
        OPENAI_RESPONSES,
        "/v1/responses",
        Wire::Responses,
        true,
    ),
    shape(
        "OpenAI embeddings",
        OPENAI,
        ("openai", "embeddings", SMALL),
        "/v1/embeddings",
        Wire::Embeddings,
        false,
    ),
    shape(
        "OpenAI images",
        OPENAI,
        ("openai", "image_generations", "gpt-image-1"),
        "/v1/images/generations",
        Wire::Image,
        false,
    ),
    shape(
        "OpenAI images, SSE",
        OPENAI,
        ("openai", "image_generations", "gpt-image-1"),
        "/v1/images/generations",
        Wire::Image,
        true,
    ),
    shape(
        "OpenAI speech",
        OPENAI,
        ("openai", "audio_speech", "tts-1"),
        "/v1/audio/speech",
        Wire::Speech,
        true,
    ),
    shape(
        "OpenAI transcription",
        OPENAI,
        HEARD,
        "/v1/audio/transcriptions",
        Wire::Transcription,
        false,
    ),
    shape(
        "OpenAI transcription, SSE",
        OPENAI,
        HEARD,
        "/v1/audio/transcriptions",
        Wire::Transcription,
        true,
    ),
    shape(
        "Azure chat",
        AZURE,
        AZURE_CHAT,
        AZURE_PATH,
        Wire::Chat,
        false,
    ),
    shape(
        "Azure chat, SSE",
        AZURE,
        AZURE_CHAT,
        AZURE_PATH,
        Wire::Chat,
        true,
    ),
    Shape {
        asks: false,
        ..shape(
            "Azure chat, SSE, usage not asked for",
            AZURE,
            AZURE_CHAT,
            AZURE_PATH,
            Wire::Chat,
            true,
        )
    },
    shape(
        "Azure v1 chat, SSE",
        AZURE,
        AZURE_CHAT,
        "/openai/v1/chat/completions",
        Wire::Chat,
        true,
    ),
    shape(
        "Azure responses, SSE",
        AZURE,
        AZURE_RESPONSES,
        "/openai/responses?api-version=2024-10-21",
        Wire::Responses,
        true,
    ),
    shape(
        "Azure embeddings",
        AZURE,
        ("azure_openai", "embeddings", SMALL),
        "/openai/deployments/text-embedding-3-small/embeddings?api-version=2024-10-21",
        Wire::Embeddings,
        false,
    ),
    shape(
        "Anthropic messages",
        "anthropic",
        MESSAGES,
        "/v1/messages",
        Wire::Messages,
        false,
    ),
    shape(
        "Anthropic messages, SSE",
        "anthropic",
        MESSAGES,
        "/v1/messages",
        Wire::Messages,
        true,
    ),
    shape(
        "Bedrock converse",
        "bedrock",
        ("bedrock", "converse", BEDROCK),
        "/model/anthropic.claude-3-5-sonnet-20240620-v1%3A0/converse",
        Wire::Converse,
        false,
    ),
    shape(
        "Bedrock converse, event stream",
        "bedrock",
        ("bedrock", "converse_stream", BEDROCK),
        "/model/anthropic.claude-3-5-sonnet-20240620-v1%3A0/converse-stream",
        Wire::Converse,
        true,
    ),
    shape(
        "Bedrock invoke",
        "bedrock",
        ("bedrock", "invoke", BEDROCK),
        "/model/anthropic.claude-3-5-sonnet-20240620-v1%3A0/invoke",
        Wire::Invoke,
        false,
    ),
    shape(
        "Bedrock invoke, event stream",
        "bedrock",
        ("bedrock", "invoke_stream", BEDROCK),
        "/model/anthropic.claude-3-5-sonnet-20240620-v1%3A0/invoke-with-response-stream",
        Wire::Invoke,
        true,
    ),
    shape(
        "Gemini",
        "gemini",
        ("gemini", "generate_content", GEMINI),
        "/v1beta/models/gemini-2.0-flash:generateContent",
        Wire::Generate,
        false,
    ),
    shape(
        "Gemini, SSE",
        "gemini",
        ("gemini", "stream_generate_content", GEMINI),
        "/v1beta/models/gemini-2.0-flash:streamGenerateContent?alt=sse",
        Wire::Generate,
        true,
    ),
    shape(
        "Gemini, JSON array",
        "gemini",
        ("gemini", "stream_generate_content", GEMINI),
        "/v1beta/models/gemini-2.0-flash:streamGenerateContent",
        Wire::Generate,
        true,
    ),
    shape(
        "Gemini embedding",
        "gemini",
        ("gemini", "embed_content", EMBEDDING),
        "/v1beta/models/gemini-embedding-001:embedContent",
        Wire::EmbedContent,
        false,
    ),
    shape(
        "Gemini embeddings",
        "gemini",
        ("gemini", "batch_embed_contents", EMBEDDING),
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        Wire::EmbedBatch,
        false,
    ),
    shape(
        "Vertex",
        "vertex",
        ("vertex", "generate_content", GEMINI),
        "/v1/projects/demo/locations/asia-northeast1/publishers/google/models/gemini-2.0-flash:generateContent",
        Wire::Generate,
        false,
    ),
    shape(
        "Vertex, SSE",
        "vertex",
        ("vertex", "stream_generate_content", GEMINI),
        "/v1/projects/demo/locations/asia-northeast1/publishers/google/models/gemini-2.0-flash:streamGenerateContent?alt=sse",
        Wire::Generate,
        true,
    ),
];

impl Planned {
    /// The request's body and its content type.
    pub(crate) fn body(&self) -> (String, Vec<u8>) {
        if self.shape.wire == Wire::Transcription {
            return self.form();
        }
        let body = self.json().to_string().into_bytes();
        ("application/json".to_owned(), body)
    }

    fn json(&self) -> Value {
        let (prompt, model) = (&self.prompt, self.shape.policy.2);
        let said = json!([{ "role": "user", "content": prompt }]);
        let in_parts = json!([{ "role": "user", "content": [{ "text": prompt }] }]);
        let parts = json!({ "role": "user", "parts": [{ "text": prompt }] });
        let mut body = match self.shape.wire {
            Wire::Chat => {
                json!({ "model": model, "messages": said, "max_completion_tokens": LIMIT })
            }
            Wire::Responses => {
                json!({ "model": model, "input": prompt, "max_output_tokens": LIMIT })
            }
            Wire::Embeddings => json!({ "model": model, "input": [prompt, "more"] }),
            Wire::Messages => json!({ "model": model, "messages": said, "max_tokens": LIMIT }),
            Wire::Converse => {
                json!({ "messages": in_parts, "inferenceConfig": { "maxTokens": LIMIT } })
            }
            Wire::Invoke => json!({
                "anthropic_version": "bedrock-2023-05-31", "messages": said, "max_tokens": LIMIT,
            }),
            Wire::Generate => {
                json!({ "contents": [parts], "generationConfig": { "maxOutputTokens": LIMIT } })
            }
            Wire::EmbedContent => json!({ "content": parts }),
            Wire::EmbedBatch => json!({ "requests": [
                { "model": format!("models/{model}"), "content": parts },
                { "model": format!("models/{model}"), "content": parts },
            ]}),
            Wire::Image => json!({ "model": model, "prompt": prompt, "quality": "low" }),
            Wire::Speech => json!({ "model": model, "input": prompt, "voice": "alloy" }),
            Wire::Transcription => Value::Null,
        };
        let asks = self.shape.asks.then(|| json!({ "include_usage": true }));
        let by_member = matches!(
            self.shape.wire,
            Wire::Chat | Wire::Responses | Wire::Messages | Wire::Image
        );
        if let (true, true, Some(members)) = (self.shape.streams, by_member, body.as_object_mut()) {
            members.insert("stream".to_owned(), json!(true));
            members.extend(asks.map(|asks| ("stream_options".to_owned(), asks)));
        }
        body
    }

    fn form(&self) -> (String, Vec<u8>) {
        let mut fields = vec![
            ("model", self.shape.policy.2.to_owned()),
            ("prompt", self.prompt.clone()),
        ];
        if self.shape.streams {
            fields.push(("stream", "true".to_owned()));
        }
        let mut body = String::new();
        for (name, value) in fields {
            body.push_str(&format!(
                "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ));
        }
        let sound = STANDARD.encode(&self.prompt);
        body.push_str(&format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
             content-type: audio/wav\r\n\r\n{sound}\r\n--{BOUNDARY}--\r\n"
        ));
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        (content_type, body.into_bytes())
    }
}
