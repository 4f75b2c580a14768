"""Every operation of every provider, called with its official SDK."""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types

import calls
from calls import MAX_TOKENS, Used, messages, prompt, require
from places import Direct, Place

# A picture of one pixel.
PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
VERTEX_PROJECT, VERTEX_LOCATION = "demo", "asia-northeast1"
EMBEDDING = "gemini-embedding-001"
PROFILE = (
    "arn:aws:bedrock:us-east-1:111122223333:inference-profile/"
    "us.anthropic.claude-3-5-sonnet-20240620-v1:0"
)


def _sound() -> bytes:
    """A tenth of a second of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(bytes(3_200))
    return file.getvalue()


SOUND = _sound()

Run = Callable[[Place, str], Used]


@dataclass(frozen=True)
class Operation:
    """One thing that an SDK can do. `opens` are the policy's names of the operations it needs."""

    sdk: str
    what: str
    provider: str
    opens: tuple[str, ...]
    model: str
    run: Run


def _used(usage: Any) -> Used:
    """OpenAI's usage under either of its names."""
    if hasattr(usage, "prompt_tokens"):
        return Used(usage.prompt_tokens, getattr(usage, "completion_tokens", 0))
    return Used(usage.input_tokens, usage.output_tokens)


# OpenAI's wire.


@dataclass(frozen=True)
class Names:
    """What a service calls its models."""

    chat: str
    embedding: str
    image: str
    transcription: str
    whisper: str
    speech: str
    speech_in_tokens: str


_OPENAI = Names(
    "gpt-4o", "text-embedding-3-small", "gpt-image-1", "gpt-4o-transcribe", "whisper-1", "tts-1",
    "gpt-4o-mini-tts",
)  # fmt: skip
_AZURE = Names(
    "gpt-4o", "text-embedding-3-small", "gpt-image-1", "gpt-4o-transcribe", "whisper", "tts",
    "gpt-4o-mini-tts",
)  # fmt: skip


def chat_details(client: openai.OpenAI, names: Names) -> Used:
    """Pictures, sounds, tools, thoughts, and a cache."""
    answer = client.chat.completions.create(
        model=names.chat,
        messages=[
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What? [demo thoughts=5 cached=8]"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
                    {
                        "type": "input_audio",
                        "input_audio": {
                            "data": base64.b64encode(SOUND).decode(),
                            "format": "wav",
                        },
                    },
                ],
            },
        ],
        max_completion_tokens=MAX_TOKENS,
        temperature=0.5,
        tools=[
            {
                "type": "function",
                "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
            }
        ],
    )
    details = answer.usage.prompt_tokens_details
    require((details.cached_tokens, details.audio_tokens > 0) == (8, True), "details are missing")
    require(answer.usage.completion_tokens_details.reasoning_tokens == 5, "thoughts are missing")
    return _used(answer.usage)


def chat_streamed_unasked(client: openai.OpenAI, names: Names) -> Used | None:
    """Who does not ask for usage must not be told of it, whoever asks on the way."""
    for chunk in client.chat.completions.create(
        model=names.chat, messages=messages(), max_tokens=MAX_TOKENS, stream=True
    ):
        require(chunk.usage is None, "a chunk tells of usage that nobody asked for")
        told = bool(chunk.choices) or getattr(chunk, "prompt_filter_results", None)
        require(bool(told), "a chunk without choices that nobody asked for")
    return None


def responses(client: openai.OpenAI, names: Names) -> Used:
    answer = client.responses.create(
        model=names.chat, input=prompt(), max_output_tokens=MAX_TOKENS, instructions="Be brief."
    )
    require(bool(answer.output_text), "the answer has no text")
    return _used(answer.usage)


def responses_kept(client: openai.OpenAI, names: Names) -> Used:
    first = client.responses.create(model=names.chat, input="First.", max_output_tokens=MAX_TOKENS)
    second = client.responses.create(
        model=names.chat, input="Second.", previous_response_id=first.id, max_output_tokens=5
    )
    kept = client.responses.retrieve(first.id)
    require(kept.output_text == first.output_text, "another response was retrieved")
    require(client.responses.input_items.list(first.id).data[0].content[0].text == "First.", "odd")
    client.responses.cancel(second.id)
    client.responses.delete(first.id)
    one, other = _used(first.usage), _used(second.usage)
    return Used(one.input + other.input, one.output + other.output)


def embeddings_as_floats(client: openai.OpenAI, names: Names) -> Used:
    answer = client.embeddings.create(
        model=names.embedding, input="a text", encoding_format="float", dimensions=256
    )
    require(len(answer.data[0].embedding) == 256, "not a vector of 256")
    return _used(answer.usage)


def image(client: openai.OpenAI, names: Names) -> Used:
    answer = client.images.generate(model=names.image, prompt="A gate.", n=2, quality="low")
    require(len(answer.data) == 2, "not two pictures")
    return _used(answer.usage)


def image_streamed(client: openai.OpenAI, names: Names) -> Used:
    *partial, last = client.images.generate(
        model=names.image, prompt="A gate.", stream=True, partial_images=2, quality="low"
    )
    require(len(partial) == 2, "not two pictures in the making")
    return _used(last.usage)


def image_edit(client: openai.OpenAI, names: Names) -> Used:
    pictures = [("gate.png", base64.b64decode(PICTURE), "image/png") for _ in range(2)]
    answer = client.images.edit(
        model=names.image, image=pictures, prompt="Close it.", quality="low"
    )
    require(answer.usage.input_tokens_details.image_tokens > 0, "the pictures were not counted")
    return _used(answer.usage)


def speech_in_events(client: openai.OpenAI, names: Names) -> Used:
    with client.audio.speech.with_streaming_response.create(
        model=names.speech_in_tokens, voice="alloy", input="Halt.", stream_format="sse"
    ) as answer:
        told = [line for line in answer.iter_lines() if line.startswith("data: ")]
    usage = json.loads(told[-1].removeprefix("data: "))["usage"]
    return Used(usage["input_tokens"], usage["output_tokens"])


def _heard() -> tuple[str, bytes, str]:
    return ("halt.wav", SOUND, "audio/wav")


def transcription(client: openai.OpenAI, names: Names) -> Used:
    answer = client.audio.transcriptions.create(model=names.transcription, file=_heard())
    require(bool(answer.text), "nothing was heard")
    return _used(answer.usage)


def transcription_streamed(client: openai.OpenAI, names: Names) -> Used:
    usage = None
    for event in client.audio.transcriptions.create(
        model=names.transcription, file=_heard(), stream=True, language="ja"
    ):
        usage = getattr(event, "usage", None) or usage
    require(usage is not None, "the stream did not report its usage")
    return _used(usage)


def transcription_by_whisper(client: openai.OpenAI, names: Names) -> Used:
    answer = client.audio.transcriptions.create(
        model=names.whisper,
        file=_heard(),
        response_format="verbose_json",
        timestamp_granularities=["segment"],
        temperature=0.2,
    )
    require(answer.duration > 0, "the sound has no length")
    return Used()


def translation(client: openai.OpenAI, names: Names) -> Used:
    answer = client.audio.translations.create(model=names.whisper, file=_heard())
    require(bool(answer.text), "nothing was heard")
    return Used()


def _uploaded(client: openai.OpenAI, names: Names) -> Any:
    body = {"model": names.chat, "messages": messages(), "max_tokens": 4}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    content = json.dumps(line).encode() + b"\n"
    return client.files.create(file=("batch.jsonl", content), purpose="batch")


def files(client: openai.OpenAI, names: Names) -> Used:
    file = _uploaded(client, names)
    require(client.files.retrieve(file.id).bytes == file.bytes, "another file was retrieved")
    require(file.id in [it.id for it in client.files.list(limit=10_000)], "the file is not listed")
    require(len(client.files.content(file.id).read()) == file.bytes, "the file is not whole")
    require(client.files.delete(file.id).deleted, "the file was not deleted")
    return Used()


def batches(client: openai.OpenAI, names: Names) -> Used:
    batch = client.batches.create(
        input_file_id=_uploaded(client, names).id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"for": "the demo"},
    )
    done = client.batches.retrieve(batch.id)
    require(done.request_counts.completed == 1, "the batch was not done")
    require(b"chat.completion" in client.files.content(done.output_file_id).read(), "no output")
    require(batch.id in [it.id for it in client.batches.list(limit=100)], "it is not listed")
    client.batches.cancel(batch.id)
    return Used()


def models(client: openai.OpenAI, names: Names) -> Used:
    listed = [it.id for it in client.models.list()]
    require(names.chat in listed, "the model is not listed")
    require(client.models.retrieve(names.chat).id == names.chat, "another model was retrieved")
    return Used()


def _openai_operations(
    sdk: str, provider: str, client: Callable[[Place, str], openai.OpenAI], names: Names
) -> Iterator[Operation]:
    def it(
        what: str, opens: str, model: str, run: Callable[[openai.OpenAI, Any], Used | None],
        given: Any = names,
    ) -> Operation:  # fmt: skip
        def make(place: Place, credential: str) -> Used | None:
            return run(client(place, credential), given)

        return Operation(sdk, what, provider, tuple(opens.split()), model, make)

    chat = names.chat
    yield it("chat", "chat_completions", chat, calls.chat, chat)
    yield it("chat, streamed", "chat_completions", chat, calls.chat_streamed, chat)
    yield it("chat, streamed, unasked", "chat_completions", chat, chat_streamed_unasked)
    yield it("chat with media, tools", "chat_completions", chat, chat_details)
    yield it("responses", "responses", chat, responses)
    yield it("responses, streamed", "responses", chat, calls.responses_streamed, chat)
    yield it("responses, kept", "responses stored_responses", chat, responses_kept)
    small = names.embedding
    yield it("embeddings (base64)", "embeddings", small, calls.embeddings, small)
    yield it("embeddings (floats)", "embeddings", small, embeddings_as_floats)
    yield it("images", "image_generations", names.image, image)
    yield it("images, streamed", "image_generations", names.image, image_streamed)
    yield it("images, edited", "image_edits", names.image, image_edit)
    yield it("speech", "audio_speech", names.speech, calls.speech, names.speech)
    yield it("speech in events", "audio_speech", names.speech_in_tokens, speech_in_events)
    heard = names.transcription
    yield it("transcription", "audio_transcriptions", heard, transcription)
    yield it("transcription, streamed", "audio_transcriptions", heard, transcription_streamed)
    whisper = names.whisper
    yield it("transcription (Whisper)", "audio_transcriptions", whisper, transcription_by_whisper)
    yield it("translation", "audio_translations", whisper, translation)
    yield it("files", "files", "", files)
    yield it("batches", "files batches", "", batches)
    yield it("models", "models", "", models)


# Anthropic's wire.


def message_with_details(client: anthropic.Anthropic, model: str) -> Used:
    """Pictures, tools, a system prompt, and a cache."""
    source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
    answer = client.messages.create(
        model=model,
        max_tokens=MAX_TOKENS,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": source},
                    {"type": "text", "text": "What is this? [demo cached=6 stored=4]"},
                ],
            }
        ],
        tools=[{"name": "look", "input_schema": {"type": "object", "properties": {}}}],
    )
    return _claude_used(answer.usage)


def _claude_used(usage: Any) -> Used:
    """Anthropic tells apart from the others what a cache was read for or written with."""
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return Used(usage.input_tokens + cached, usage.output_tokens)


def message_in_events(client: anthropic.Anthropic, model: str) -> Used:
    used = Used()
    for event in client.messages.create(
        model=model, max_tokens=MAX_TOKENS, messages=messages(), stream=True
    ):
        if event.type == "message_start":
            used = _claude_used(event.message.usage)
        if event.type == "message_delta":
            used = Used(used.input, event.usage.output_tokens)
    return used


def claude_batches(client: anthropic.Anthropic, model: str) -> Used:
    params = {"model": model, "max_tokens": 4, "messages": messages()}
    requests = [{"custom_id": "a", "params": params}]
    batch = client.messages.batches.create(requests=requests)
    require(client.messages.batches.retrieve(batch.id).processing_status == "ended", "not done")
    # `results()` would go where `results_url` says, to the provider itself.
    results = client.get(f"/v1/messages/batches/{batch.id}/results", cast_to=str)
    require('"succeeded"' in results, "there are no results")
    require(batch.id in [it.id for it in client.messages.batches.list(limit=100)], "not listed")
    client.messages.batches.cancel(batch.id)
    client.messages.batches.delete(batch.id)
    return Used()


def claude_models(client: anthropic.Anthropic, model: str) -> Used:
    require(model in [it.id for it in client.models.list()], "the model is not listed")
    require(client.models.retrieve(model).id == model, "another model was retrieved")
    return Used()


def _older_claude(place: Place, credential: str) -> anthropic.Anthropic:
    """With the version that the SDK's earlier majors send."""
    return calls.claude(place, credential).with_options(
        default_headers={"anthropic-version": "2023-06-01"}
    )


def _anthropic_operations() -> Iterator[Operation]:
    def it(
        what: str, opens: str, run: Callable[[anthropic.Anthropic], Used],
        client: Callable[[Place, str], anthropic.Anthropic] = calls.claude,
    ) -> Operation:  # fmt: skip
        def make(place: Place, credential: str) -> Used:
            return run(client(place, credential))

        return Operation("anthropic", what, "anthropic", (opens,), calls.CLAUDE, make)

    model = calls.CLAUDE
    yield it("messages", "messages", calls.message)
    yield it("messages, streamed", "messages", calls.message_streamed)
    yield it("messages in events", "messages", lambda client: message_in_events(client, model))
    yield it(
        "messages with media", "messages", lambda client: message_with_details(client, model)
    )
    yield it("messages, older version", "messages", calls.message, _older_claude)
    yield it("count_tokens", "count_tokens", calls.count_tokens)
    yield it("batches", "message_batches", lambda client: claude_batches(client, model))
    yield it("models", "models", lambda client: claude_models(client, model))


# Bedrock's wire.


def converse_with_details(place: Place, credential: str) -> Used:
    picture = {"image": {"format": "png", "source": {"bytes": base64.b64decode(PICTURE)}}}
    text = {"text": "What is this? [demo cached=6 stored=4]"}
    with calls.bedrock(place, credential) as client:
        answer = client.converse(
            modelId=calls.BEDROCK_MODEL,
            system=[{"text": "Be brief."}],
            messages=[{"role": "user", "content": [picture, text]}],
            inferenceConfig={"maxTokens": MAX_TOKENS, "temperature": 0.5},
        )
    return _bedrock_used(answer["usage"])


def _bedrock_used(usage: dict[str, int]) -> Used:
    cached = usage.get("cacheReadInputTokens", 0) + usage.get("cacheWriteInputTokens", 0)
    return Used(usage["inputTokens"] + cached, usage["outputTokens"])


def converse_by_profile(place: Place, credential: str) -> Used:
    """An ARN has slashes and colons, which boto3 encodes in the path."""
    with calls.bedrock(place, credential) as client:
        answer = client.converse(**{**calls.conversation(), "modelId": PROFILE})
    return _bedrock_used(answer["usage"])


def claude_on_bedrock(place: Place, credential: str) -> anthropic.AnthropicBedrock:
    proof = (
        {
            "aws_access_key": place.aws_access_key_id,
            "aws_secret_key": place.aws_secret_access_key,
        }
        if isinstance(place, Direct)
        else {"api_key": credential}
    )
    return anthropic.AnthropicBedrock(
        base_url=place.url_of("bedrock") if isinstance(place, Direct) else place.url,
        aws_region="us-east-1",
        max_retries=0,
        timeout=calls.TIMEOUT_SECONDS,
        http_client=calls.http_client(place),
        **proof,
    )


def _bedrock_operations() -> Iterator[Operation]:
    def it(sdk: str, what: str, opens: str, run: Run, model: str = calls.BEDROCK_MODEL) -> Operation:
        return Operation(sdk, what, "bedrock", (opens,), model, run)

    def by_claude(run: Callable[[anthropic.AnthropicBedrock], Used]) -> Run:
        return lambda place, credential: run(claude_on_bedrock(place, credential))

    model = calls.BEDROCK_MODEL

    def whole(client: anthropic.AnthropicBedrock) -> Used:
        answer = client.messages.create(model=model, max_tokens=MAX_TOKENS, messages=messages())
        return _claude_used(answer.usage)

    yield it("boto3", "converse", "converse", calls.converse)
    yield it("boto3", "converse with media", "converse", converse_with_details)
    yield it("boto3", "converse by profile's ARN", "converse", converse_by_profile, PROFILE)
    yield it("boto3", "converse_stream", "converse_stream", calls.converse_streamed)
    yield it("boto3", "invoke_model", "invoke", calls.invoke)
    yield it("boto3", "invoke, streamed", "invoke_stream", calls.invoke_streamed)
    sdk = "AnthropicBedrock"
    yield it(sdk, "messages", "invoke", by_claude(whole))
    yield it(
        sdk, "messages, streamed", "invoke_stream",
        by_claude(lambda client: message_in_events(client, model)),
    )  # fmt: skip
    yield it(
        sdk, "messages with media", "invoke",
        by_claude(lambda client: message_with_details(client, model)),
    )  # fmt: skip


# Google's wire.


def vertex(place: Place, credential: str) -> genai.Client:
    """Vertex AI wants credentials of Google's; the gateway takes the caller's token instead."""
    return genai.Client(
        vertexai=True,
        project=VERTEX_PROJECT,
        location=VERTEX_LOCATION,
        credentials=_Bearer(credential),
        http_options=calls.google_options(place, "vertex", "v1"),
    )


class _Bearer:
    """What google-auth calls credentials: a token that is never renewed."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.expired = False
        self.quota_project_id = None

    def refresh(self, _request: object) -> None:
        """There is nothing newer."""


def generate_with_details(client: genai.Client) -> Used:
    """Pictures, sounds, thoughts, a cache, and a system prompt."""
    answer = client.models.generate_content(
        model=calls.GEMINI,
        contents=[
            types.Part.from_bytes(data=base64.b64decode(PICTURE), mime_type="image/png"),
            types.Part.from_bytes(data=SOUND, mime_type="audio/wav"),
            "What is this? [demo thoughts=5 cached=8]",
        ],
        config=types.GenerateContentConfig(
            max_output_tokens=MAX_TOKENS,
            system_instruction="Be brief.",
            temperature=0.5,
            safety_settings=[
                types.SafetySetting(
                    category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_ONLY_HIGH"
                )
            ],
        ),
    )
    usage = answer.usage_metadata
    require((usage.thoughts_token_count, usage.cached_content_token_count) == (5, 8), "details")
    return Used(
        usage.prompt_token_count, usage.candidates_token_count + usage.thoughts_token_count
    )


def embed(client: genai.Client) -> Used:
    answer = client.models.embed_content(model=EMBEDDING, contents=["one", "two"])
    require([len(it.values) for it in answer.embeddings] == [768, 768], "not two vectors")
    return Used(answer.usage_metadata.prompt_token_count)


def embed_one(client: genai.Client) -> Used:
    answer = client.models.embed_content(model=EMBEDDING, contents="one")
    require(len(answer.embeddings[0].values) == 768, "not a vector")
    return Used(int(answer.embeddings[0].statistics.token_count))


def stream_in_an_array(place: Place, credential: str) -> Used:
    """Without `alt=sse`, as no SDK asks: one JSON array that grows."""
    http = calls.http_client(place)
    answer = http.post(
        f"{place.url_of('gemini')}/v1beta/models/{calls.GEMINI}:streamGenerateContent",
        headers={"x-goog-api-key": credential},
        json={"contents": [{"role": "user", "parts": [{"text": prompt()}]}]},
    )
    usage = answer.raise_for_status().json()[-1]["usageMetadata"]
    return Used(usage["promptTokenCount"], usage["candidatesTokenCount"])


def embed_without_sdk(place: Place, credential: str) -> Used:
    """The SDK has only the batch's form for this provider."""
    answer = calls.http_client(place).post(
        f"{place.url_of('gemini')}/v1beta/models/{EMBEDDING}:embedContent",
        headers={"x-goog-api-key": credential},
        json={"content": {"parts": [{"text": "one"}]}},
    )
    return Used(answer.raise_for_status().json()["usageMetadata"]["promptTokenCount"])


def _google_operations(
    sdk: str, provider: str, client: Callable[[Place, str], genai.Client]
) -> Iterator[Operation]:
    def it(what: str, opens: str, run: Callable[[genai.Client], Used], model: str) -> Operation:
        def make(place: Place, credential: str) -> Used:
            # Kept in a variable: an inline client is collected, and closed, before it answers.
            kept = client(place, credential)
            return run(kept)

        return Operation(sdk, what, provider, (opens,), model, make)

    model = calls.GEMINI
    yield it("generate", "generate_content", calls.generate, model)
    yield it("generate, streamed", "stream_generate_content", calls.generate_streamed, model)
    yield it("generate with media", "generate_content", generate_with_details, model)
    yield it("count_tokens", "count_tokens", calls.gemini_count, model)
    if provider == "gemini":
        yield it("embed", "batch_embed_contents", embed, EMBEDDING)
        yield Operation(
            "HTTP", "generate, streamed in an array", provider, ("stream_generate_content",), model,
            stream_in_an_array,
        )  # fmt: skip
        yield Operation(
            "HTTP", "embed one", provider, ("embed_content",), EMBEDDING, embed_without_sdk
        )
    else:
        yield it("embed", "embed_content", embed_one, EMBEDDING)


def azure_v1(place: Place, credential: str) -> openai.OpenAI:
    direct = isinstance(place, Direct)
    return openai.OpenAI(
        base_url=place.url_of("azure-openai") + "/openai/v1",
        api_key=credential,
        default_headers={"api-key": credential} if direct else None,
        max_retries=0,
        timeout=calls.TIMEOUT_SECONDS,
        http_client=calls.http_client(place),
    )


ALL: tuple[Operation, ...] = (
    *_openai_operations("openai", "openai-compatible", calls.compatible, _OPENAI),
    *_openai_operations("openai (Azure)", "azure-openai", calls.azure, _AZURE),
    *_openai_operations("openai (Azure v1)", "azure-openai", azure_v1, _AZURE),
    *_anthropic_operations(),
    *_bedrock_operations(),
    *_google_operations("google-genai", "gemini", calls.gemini),
    *_google_operations("google-genai (Vertex)", "vertex", vertex),
)
