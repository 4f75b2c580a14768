"""The calls that the demo makes, each with the provider's official SDK."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anthropic
import boto3
import httpx2 as httpx
import openai
from botocore.config import Config
from google import genai
from google.genai import types

from places import Direct, Place
from tap import TLS

AZURE_API_VERSION = "2024-10-21"
BEDROCK_MODEL = "anthropic.claude-3-5-sonnet-20240620-v1:0"
CLAUDE = "claude-3-5-sonnet-20240620"
GEMINI = "gemini-2.0-flash"
MAX_TOKENS = 64
TIMEOUT_SECONDS = 15

_QUESTION = "Why did travellers need a permit at the checkpoint of Hakone?"
_asked = itertools.count()


def prompt() -> str:
    """Another one each time, so that two calls that were mixed up differ in their tokens."""
    return _QUESTION + " Give another reason." * (next(_asked) % 11)


@dataclass(frozen=True)
class Used:
    """Tokens, as the answer told the SDK."""

    input: int = 0
    output: int = 0


@dataclass(frozen=True)
class Call:
    """One call. `credential` is the person's token, or the provider's key without a gateway."""

    sdk: str
    operation: str
    provider: str
    model: str
    make: Callable[[Place, str], Used]


def http_client(place: Place) -> httpx.Client:
    """What notes the requests that an SDK sends through it, if anybody wants them noted."""
    return place.tap.http_client() if place.tap else httpx.Client(timeout=TIMEOUT_SECONDS, verify=TLS)


# The clients. Retries are off: a refusal is to be seen, and a call counted, once.


def azure(place: Place, credential: str) -> openai.AzureOpenAI:
    proof = (
        {"api_key": credential}
        if isinstance(place, Direct) or credential.startswith("sk-sekisho-")
        else {"azure_ad_token": credential}
    )
    return openai.AzureOpenAI(
        azure_endpoint=place.url_of("azure-openai"),
        api_version=AZURE_API_VERSION,
        max_retries=0,
        timeout=TIMEOUT_SECONDS,
        http_client=http_client(place),
        **proof,
    )


def compatible(place: Place, credential: str) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=place.url_of("openai-compatible") + "/v1",
        api_key=credential,
        max_retries=0,
        timeout=TIMEOUT_SECONDS,
        http_client=http_client(place),
    )


def claude(place: Place, credential: str) -> anthropic.Anthropic:
    direct = isinstance(place, Direct)
    return anthropic.Anthropic(
        base_url=place.url_of("anthropic"),
        auth_token=None if direct else credential,
        api_key=credential if direct else None,
        # The SDK's newer versions send even an API key as a bearer token.
        default_headers={"x-api-key": credential} if direct else None,
        max_retries=0,
        timeout=TIMEOUT_SECONDS,
        http_client=http_client(place),
    )


def gemini(place: Place, credential: str) -> genai.Client:
    return genai.Client(
        api_key=credential, http_options=google_options(place, "gemini", "v1beta")
    )


def google_options(place: Place, provider: str, version: str) -> types.HttpOptions:
    return types.HttpOptions(
        base_url=place.url_of(provider),
        api_version=version,
        timeout=TIMEOUT_SECONDS * 1000,
        retry_options=types.HttpRetryOptions(attempts=1),
        httpx_client=http_client(place),
    )


@contextmanager
def bedrock(place: Place, credential: str) -> Iterator[Any]:
    """boto3 takes bearer tokens and the CA from the environment only."""
    if isinstance(place, Direct):
        proof = {
            "aws_access_key_id": place.aws_access_key_id,
            "aws_secret_access_key": place.aws_secret_access_key,
        }
        environment = {}
    else:
        proof = {}
        environment = {"AWS_BEARER_TOKEN_BEDROCK": credential}
        if place.ca_file:
            environment["AWS_CA_BUNDLE"] = place.ca_file
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        client = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=place.url_of("bedrock"),
            config=Config(
                retries={"total_max_attempts": 1},
                connect_timeout=TIMEOUT_SECONDS,
                read_timeout=TIMEOUT_SECONDS,
            ),
            **proof,
        )
        if place.tap:
            place.tap.listen_to(client)
        yield client
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# The calls.


def require(condition: bool, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def messages() -> list[Any]:
    return [{"role": "user", "content": prompt()}]


def chat(client: openai.OpenAI, model: str, max_tokens: int = MAX_TOKENS) -> Used:
    answer = client.chat.completions.create(model=model, messages=messages(), max_tokens=max_tokens)
    require(bool(answer.choices[0].message.content), "the answer has no text")
    return Used(answer.usage.prompt_tokens, answer.usage.completion_tokens)


def chat_streamed(client: openai.OpenAI, model: str) -> Used:
    stream = client.chat.completions.create(
        model=model,
        messages=messages(),
        max_tokens=MAX_TOKENS,
        stream=True,
        stream_options={"include_usage": True},
    )
    pieces, usage = 0, None
    for chunk in stream:
        pieces += sum(1 for choice in chunk.choices if choice.delta.content)
        usage = chunk.usage or usage
    require(usage is not None, "the stream did not report its usage")
    require(pieces > 1, "the answer did not come in pieces")
    return Used(usage.prompt_tokens, usage.completion_tokens)


def responses(client: openai.OpenAI, model: str) -> Used:
    answer = client.responses.create(model=model, input=prompt(), max_output_tokens=MAX_TOKENS)
    require(bool(answer.output_text), "the answer has no text")
    return Used(answer.usage.input_tokens, answer.usage.output_tokens)


def responses_streamed(client: openai.OpenAI, model: str) -> Used:
    text, usage = "", None
    for event in client.responses.create(model=model, input=prompt(), stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.completed":
            usage = event.response.usage
            require(event.response.output_text == text, "the pieces are not the whole")
    require(usage is not None, "the stream did not report its usage")
    return Used(usage.input_tokens, usage.output_tokens)


def embeddings(client: openai.OpenAI, model: str) -> Used:
    answer = client.embeddings.create(model=model, input=[prompt(), "another text"])
    require([len(it.embedding) for it in answer.data] == [1536, 1536], "not two vectors of 1536")
    return Used(answer.usage.prompt_tokens)


def speech(client: openai.OpenAI, model: str) -> Used:
    answer = client.audio.speech.create(model=model, voice="alloy", input=prompt())
    require(len(answer.read()) > 1000, "the answer is not a sound")
    return Used()


def video(place: Place, credential: str, model: str = "sora") -> Used:
    direct = isinstance(place, Direct)
    client = openai.OpenAI(
        base_url=place.url_of("azure-openai") + "/openai/v1",
        api_key=credential,
        default_headers={"api-key": credential} if direct else None,
        max_retries=0,
        timeout=TIMEOUT_SECONDS,
    )
    job = client.post(
        "/video/generations/jobs",
        cast_to=object,
        options={"params": {"api-version": "preview"}},
        body={"model": model, "prompt": prompt(), "width": 480, "height": 480, "n_seconds": 5},
    )
    require(job["status"] == "queued", "the job was not accepted")
    return Used()


def message(client: anthropic.Anthropic) -> Used:
    answer = client.messages.create(model=CLAUDE, max_tokens=MAX_TOKENS, messages=messages())
    require(bool(answer.content[0].text), "the answer has no text")
    return Used(answer.usage.input_tokens, answer.usage.output_tokens)


def message_streamed(client: anthropic.Anthropic) -> Used:
    with client.messages.stream(model=CLAUDE, max_tokens=MAX_TOKENS, messages=messages()) as stream:
        text = "".join(stream.text_stream)
        answer = stream.get_final_message()
    require(answer.content[0].text == text, "the pieces are not the whole")
    return Used(answer.usage.input_tokens, answer.usage.output_tokens)


def count_tokens(client: anthropic.Anthropic) -> Used:
    counted = client.messages.count_tokens(model=CLAUDE, messages=messages())
    require(counted.input_tokens > 0, "nothing was counted")
    return Used()


def generate(client: genai.Client) -> Used:
    answer = client.models.generate_content(
        model=GEMINI,
        contents=prompt(),
        config=types.GenerateContentConfig(max_output_tokens=MAX_TOKENS),
    )
    require(bool(answer.text), "the answer has no text")
    usage = answer.usage_metadata
    return Used(usage.prompt_token_count, usage.candidates_token_count)


def generate_streamed(client: genai.Client) -> Used:
    pieces, usage = 0, None
    for chunk in client.models.generate_content_stream(
        model=GEMINI,
        contents=prompt(),
        config=types.GenerateContentConfig(max_output_tokens=MAX_TOKENS),
    ):
        pieces += 1
        usage = chunk.usage_metadata or usage
    require(pieces > 1, "the answer did not come in pieces")
    require(usage is not None, "the stream did not report its usage")
    return Used(usage.prompt_token_count, usage.candidates_token_count)


def gemini_count(client: genai.Client) -> Used:
    counted = client.models.count_tokens(model=GEMINI, contents=prompt())
    require(counted.total_tokens > 0, "nothing was counted")
    return Used()


def conversation() -> dict[str, Any]:
    return {
        "modelId": BEDROCK_MODEL,
        "messages": [{"role": "user", "content": [{"text": prompt()}]}],
        "inferenceConfig": {"maxTokens": MAX_TOKENS},
    }


def converse(place: Place, credential: str) -> Used:
    with bedrock(place, credential) as client:
        answer = client.converse(**conversation())
    require(bool(answer["output"]["message"]["content"][0]["text"]), "the answer has no text")
    return Used(answer["usage"]["inputTokens"], answer["usage"]["outputTokens"])


def converse_streamed(place: Place, credential: str) -> Used:
    names: list[str] = []
    usage: dict[str, int] | None = None
    with bedrock(place, credential) as client:
        # botocore checks both checksums of every message of the event stream.
        for event in client.converse_stream(**conversation())["stream"]:
            names += event
            usage = event.get("metadata", {}).get("usage", usage)
    require(names[0] == "messageStart" and names[-1] == "metadata", f"odd events: {names}")
    require(usage is not None, "the stream did not report its usage")
    return Used(usage["inputTokens"], usage["outputTokens"])


def invoke(place: Place, credential: str) -> Used:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": MAX_TOKENS,
        "messages": messages(),
    }
    with bedrock(place, credential) as client:
        whole = client.invoke_model(modelId=BEDROCK_MODEL, body=json.dumps(body))
        usage = json.loads(whole["body"].read())["usage"]
    headers = whole["ResponseMetadata"]["HTTPHeaders"]
    counted = headers["x-amzn-bedrock-input-token-count"]
    require(int(counted) == usage["input_tokens"], "header and body count differently")
    return Used(usage["input_tokens"], usage["output_tokens"])


def invoke_streamed(place: Place, credential: str) -> Used:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": MAX_TOKENS,
        "messages": messages(),
    }
    with bedrock(place, credential) as client:
        answer = client.invoke_model_with_response_stream(
            modelId=BEDROCK_MODEL, body=json.dumps(body)
        )
        events = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    return Used(metrics["inputTokenCount"], metrics["outputTokenCount"])


def _azure(run: Callable[..., Used], model: str) -> Callable[[Place, str], Used]:
    return lambda place, credential: run(azure(place, credential), model)


def _compatible(run: Callable[..., Used], model: str) -> Callable[[Place, str], Used]:
    return lambda place, credential: run(compatible(place, credential), model)


def _claude(run: Callable[..., Used]) -> Callable[[Place, str], Used]:
    return lambda place, credential: run(claude(place, credential))


def _gemini(run: Callable[..., Used]) -> Callable[[Place, str], Used]:
    def make(place: Place, credential: str) -> Used:
        # Kept in a variable: an inline client is collected, and closed, before it answers.
        client = gemini(place, credential)
        return run(client)

    return make


AZURE_CHAT = Call("openai (Azure)", "chat", "azure-openai", "gpt-4o", _azure(chat, "gpt-4o"))
AZURE_CHAT_STREAMED = Call(
    "openai (Azure)", "chat, streamed", "azure-openai", "gpt-4o", _azure(chat_streamed, "gpt-4o")
)
_SMALL = "text-embedding-3-small"
EMBEDDINGS = Call(
    "openai (Azure)", "embeddings", "azure-openai", _SMALL, _azure(embeddings, _SMALL)
)
SPEECH = Call("openai (Azure)", "speech", "azure-openai", "tts", _azure(speech, "tts"))
VIDEO = Call("openai (Azure)", "video job", "azure-openai", "sora", video)
CONVERSE = Call("boto3", "converse", "bedrock", BEDROCK_MODEL, converse)
CONVERSE_STREAMED = Call("boto3", "converse_stream", "bedrock", BEDROCK_MODEL, converse_streamed)
MESSAGE = Call("anthropic", "messages", "anthropic", CLAUDE, _claude(message))
MESSAGE_STREAMED = Call(
    "anthropic", "messages, streamed", "anthropic", CLAUDE, _claude(message_streamed)
)
GENERATE = Call("google-genai", "generate_content", "gemini", GEMINI, _gemini(generate))
GENERATE_STREAMED = Call(
    "google-genai", "generate, streamed", "gemini", GEMINI, _gemini(generate_streamed)
)


def compatible_chat(model: str) -> Call:
    return Call("openai", "chat", "openai-compatible", model, _compatible(chat, model))


def compatible_chat_streamed(model: str) -> Call:
    make = _compatible(chat_streamed, model)
    return Call("openai", "chat, streamed", "openai-compatible", model, make)


# Who makes which call in the demo.
TRAFFIC: tuple[tuple[str, Call], ...] = (
    ("taro", AZURE_CHAT),
    ("taro", AZURE_CHAT_STREAMED),
    ("taro", compatible_chat("gpt-4o")),
    ("taro", EMBEDDINGS),
    ("taro", CONVERSE),
    ("kenichi", compatible_chat("claude-sonnet")),
    ("kenichi", compatible_chat_streamed("gemini-flash")),
    ("kenichi", GENERATE),
    ("kenichi", GENERATE_STREAMED),
    ("hanako", SPEECH),
    ("hanako", MESSAGE),
    ("hanako", MESSAGE_STREAMED),
    ("ichiro", CONVERSE),
    ("ichiro", CONVERSE_STREAMED),
    ("ichiro", compatible_chat_streamed("claude-sonnet")),
    ("ichiro", VIDEO),
)
