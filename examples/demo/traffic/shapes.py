"""What becomes of refusals in the hands of each provider's SDK, and SDKs that are given nothing
but a base URL and a subscription key."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anthropic
import boto3
import openai
from google import genai

import calls
import refusals
from calls import Call, Used
from places import Gateway
from refusals import Refused

# A claim shorter than this may stand in a message by chance.
_TELLING = 6
# After the sidecar is heard again, calls pass within this time.
_HEARD_SECONDS = 10.0


@dataclass(frozen=True)
class Shape:
    """How one provider's SDK tells of refusals: the exception's name by status."""

    call: Call
    # The scope that the call needs, which a refusal for the lack of it names.
    scope: str
    exceptions: dict[int, str]
    # The same call for a model that the gateway does not offer.
    elsewhere: Callable[[Gateway, str], Used]


_OPENAI = {
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    429: "RateLimitError",
    503: "InternalServerError",
}
_GOOGLE = {401: "ClientError", 403: "ClientError", 404: "ClientError", 429: "ClientError",
           503: "ServerError"}  # fmt: skip
# 401 is no exception of Bedrock's own: boto3 raises the general one.
_AWS = {401: "ClientError", 403: "AccessDeniedException", 404: "ResourceNotFoundException",
        429: "ThrottlingException", 503: "ServiceUnavailableException"}  # fmt: skip
_NOBODY = "no-such-model"


def _messages_elsewhere(place: Gateway, credential: str) -> Used:
    client = calls.claude(place, credential)
    client.messages.create(model=_NOBODY, max_tokens=8, messages=calls.messages())
    return Used()


def _generate_elsewhere(place: Gateway, credential: str) -> Used:
    client = calls.gemini(place, credential)
    client.models.generate_content(model=_NOBODY, contents="x")
    return Used()


def _converse_elsewhere(place: Gateway, credential: str) -> Used:
    with calls.bedrock(place, credential) as client:
        client.converse(**{**calls.conversation(), "modelId": _NOBODY})
    return Used()


SHAPES: tuple[Shape, ...] = (
    Shape(calls.AZURE_CHAT, "other_text_apis", _OPENAI,
          lambda place, key: calls.chat(calls.azure(place, key), _NOBODY)),
    Shape(calls.compatible_chat("gpt-4o"), "other_text_apis", _OPENAI,
          lambda place, key: calls.chat(calls.compatible(place, key), _NOBODY)),
    Shape(calls.MESSAGE, "claude_api", {**_OPENAI, 503: "ServiceUnavailableError"},
          _messages_elsewhere),
    Shape(calls.GENERATE, "gemini_api", _GOOGLE, _generate_elsewhere),
    Shape(calls.CONVERSE, "claude_api", _AWS, _converse_elsewhere),
)  # fmt: skip


def problem(shape: Shape, status: int, denials: tuple[str, ...], outcome: Refused | None,
            credential: str) -> str | None:  # fmt: skip
    """Why a refusal is not what the SDK's user must see."""
    if outcome is None:
        return "the call was let through"
    if (outcome.status, outcome.exception) != (status, shape.exceptions[status]):
        return f"{outcome} instead of {status} {shape.exceptions[status]}"
    if outcome.denial not in denials:
        return f"denial `{outcome.denial}` instead of `{denials[0]}`"
    if status in (429, 503) and not outcome.retry_after:
        return "the refusal says no Retry-After"
    if outcome.denial == "missing_scope" and shape.scope not in outcome.text:
        return f"the message does not name `{shape.scope}`: {outcome.text}"
    told = [secret for secret in secrets(credential) if secret in outcome.text]
    return f"the message tells `{told[0]}`" if told else None


def secrets(credential: str) -> list[str]:
    """The credential, and every text in a token's claims but its issuer's."""
    if credential.count(".") != 2:
        return [credential]
    part = credential.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    texts = [claims.get(name) for name in ("oid", "sub", "name", "preferred_username", "azp", "uti")]
    return [credential, *(text for text in texts if text and len(text) >= _TELLING)]


def with_nothing_but_a_key(gateway: Gateway, key: str) -> Iterator[tuple[Call, Callable[[], Used]]]:
    """Every SDK as its own documentation starts it: from environment variables alone."""

    def by(call: Call, make: Callable[[], Used], **variables: str) -> tuple[Call, Callable[[], Used]]:
        def run() -> Used:
            with environment(variables):
                return make()

        return call, run

    yield by(
        calls.compatible_chat("gpt-4o"),
        lambda: calls.chat(openai.OpenAI(), "gpt-4o"),
        OPENAI_BASE_URL=f"{gateway.url}/v1", OPENAI_API_KEY=key,
    )  # fmt: skip
    yield by(
        calls.AZURE_CHAT,
        lambda: calls.chat(openai.AzureOpenAI(), "gpt-4o"),
        AZURE_OPENAI_ENDPOINT=gateway.url, AZURE_OPENAI_API_KEY=key,
        OPENAI_API_VERSION=calls.AZURE_API_VERSION,
    )  # fmt: skip
    yield by(
        calls.MESSAGE,
        lambda: calls.message(anthropic.Anthropic()),
        ANTHROPIC_BASE_URL=gateway.url, ANTHROPIC_API_KEY=key,
    )  # fmt: skip
    yield by(calls.GENERATE, _generate, GOOGLE_GEMINI_BASE_URL=gateway.url, GEMINI_API_KEY=key)
    yield by(
        calls.CONVERSE,
        _converse,
        AWS_ENDPOINT_URL_BEDROCK_RUNTIME=gateway.tls_url, AWS_BEARER_TOKEN_BEDROCK=key,
        AWS_REGION="us-east-1", AWS_DEFAULT_REGION="us-east-1", AWS_CA_BUNDLE=gateway.ca_file or "",
    )  # fmt: skip


def _generate() -> Used:
    client = genai.Client()
    return calls.generate(client)


def _converse() -> Used:
    answer = boto3.client("bedrock-runtime").converse(**calls.conversation())
    return Used(answer["usage"]["inputTokens"], answer["usage"]["outputTokens"])


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update({name: value for name, value in variables.items() if value})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def silent(sidecar: int, heard: Callable[[], Any]) -> Iterator[None]:
    """Holds the sidecar's process still; goes on once calls pass again."""
    os.kill(sidecar, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(sidecar, signal.SIGCONT)
        refused, deadline = True, time.monotonic() + _HEARD_SECONDS
        while refused and time.monotonic() < deadline:
            outcome = refusals.attempt(heard)
            refused = outcome is not None and outcome.status == 503
            time.sleep(0.05)
