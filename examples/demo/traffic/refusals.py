"""Calls that must be refused, and the exception that the SDK must raise for each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import anthropic
import httpx2 as httpx
import openai
from botocore.exceptions import ClientError
from google.genai import errors as google

import calls
from calls import Call
from places import Gateway, Tokens

# A revoked key must be refused everywhere within this time, and a new one known.
REVOCATION_SECONDS = 1.0


@dataclass(frozen=True)
class Refused:
    """How a call ended: the exception's name, the status, and the gateway's own code."""

    exception: str
    status: int
    denial: str | None
    retry_after: str | None = None
    # Everything that the SDK tells of it.
    text: str = ""

    def __str__(self) -> str:
        return f"{self.status} {self.exception} ({self.denial})" if self.status else self.exception


def with_a_new_key(make: Callable[[], object]) -> Refused | None:
    """Makes a call as soon as a key that was just issued is known."""
    deadline = time.monotonic() + REVOCATION_SECONDS
    while True:
        outcome = attempt(make)
        if outcome is None or outcome.denial != "unknown_key" or time.monotonic() > deadline:
            return outcome
        time.sleep(0.02)


def attempt(make: Callable[[], object]) -> Refused | None:
    """Makes a call that should fail; `None` if it succeeds."""
    try:
        make()
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        headers = error.response.headers
        return _refused(error, error.status_code, headers, error.response.text)
    except google.APIError as error:
        headers = getattr(error.response, "headers", {}) or {}
        return _refused(error, error.code, headers, str(error.details))
    except ClientError as error:
        metadata = error.response["ResponseMetadata"]
        headers = metadata["HTTPHeaders"]
        return _refused(error, metadata["HTTPStatusCode"], headers, str(error.response))
    except Exception as error:  # not an exception that an SDK raises for a refusal
        return Refused(f"{type(error).__name__}: {str(error)[:200]}", 0, None)
    return None


def _refused(error: Exception, status: int, headers: object, body: str) -> Refused:
    get = getattr(headers, "get", lambda _name: None)
    denial, wait = get("x-sekisho-denial"), get("retry-after")
    return Refused(type(error).__name__, status, denial, wait, f"{error} {body}")


@dataclass(frozen=True)
class Case:
    who: str
    what: str
    make: Callable[[], object]
    exception: str | tuple[str, ...]
    status: int
    denials: tuple[str, ...]

    def problem(self, outcome: Refused | None) -> str | None:
        """Why the outcome is not as it must be."""
        if outcome is None:
            return "the call was let through"
        if outcome.status == 0:
            return outcome.exception
        if outcome.status != self.status:
            return f"status {outcome.status} instead of {self.status}"
        expected = self.exception if isinstance(self.exception, tuple) else (self.exception,)
        if outcome.exception not in expected:
            return f"raised {outcome.exception} instead of {expected[0]}"
        if outcome.denial not in self.denials:
            return f"denial `{outcome.denial}` instead of `{self.denials[0]}`"
        return None


def _without_credential(gateway: Gateway) -> None:
    """No SDK leaves its credential out: plain HTTP, reported as the SDK would."""
    answer = httpx.post(
        f"{gateway.url}/v1/chat/completions",
        json={"model": "gpt-4o", "messages": calls.messages(), "max_tokens": 8},
        timeout=10,
    )
    if answer.status_code == 401:
        raise openai.AuthenticationError(answer.text, response=answer, body=answer.json())
    if answer.is_error:
        raise openai.APIStatusError(answer.text, response=answer, body=None)


def with_broken_signature(token: str) -> str:
    head, payload, signature = token.split(".")
    middle = len(signature) // 2
    other = "A" if signature[middle] != "A" else "B"
    return ".".join([head, payload, signature[:middle] + other + signature[middle + 1 :]])


def cases(gateway: Gateway, tokens: Tokens) -> list[Case]:
    taro, yuko = tokens.of("taro"), tokens.of("yuko")
    forged = with_broken_signature(taro)

    def by(call: Call, credential: str) -> Callable[[], object]:
        return lambda: call.make(gateway, credential)

    garbage = ("malformed_credential",)
    chat = calls.compatible_chat("gpt-4o")
    return [
        Case("nobody", "no credential", lambda: _without_credential(gateway),
             "AuthenticationError", 401, ("missing_credential",)),
        Case("nobody", "openai, garbage as token", by(chat, "garbage"),
             "AuthenticationError", 401, garbage),
        Case("nobody", "anthropic, garbage as token", by(calls.MESSAGE, "garbage"),
             "AuthenticationError", 401, garbage),
        Case("nobody", "google-genai, garbage as key", by(calls.GENERATE, "garbage"),
             "ClientError", 401, ("unknown_key", *garbage)),
        # Bedrock's own model has no exception for 401: boto3 may raise the general one.
        Case("nobody", "boto3, garbage as token", by(calls.CONVERSE, "garbage"),
             ("AccessDeniedException", "ClientError"), 401, garbage),
        Case("taro", "token with a broken signature", by(calls.AZURE_CHAT, forged),
             "AuthenticationError", 401, ("bad_signature",)),
        Case("taro", "video without its scope", by(calls.VIDEO, taro),
             "PermissionDeniedError", 403, ("missing_scope", "not_entitled")),
        Case("taro", "speech without its scope", by(calls.SPEECH, taro),
             "PermissionDeniedError", 403, ("missing_scope", "not_entitled")),
        Case("yuko", "inactive, openai (Azure)", by(calls.AZURE_CHAT, yuko),
             "PermissionDeniedError", 403, ("inactive_user",)),
        Case("yuko", "inactive, anthropic", by(calls.MESSAGE, yuko),
             "PermissionDeniedError", 403, ("inactive_user",)),
        Case("yuko", "inactive, google-genai", by(calls.GENERATE, yuko),
             "ClientError", 403, ("inactive_user",)),
        Case("yuko", "inactive, boto3", by(calls.CONVERSE, yuko),
             "AccessDeniedException", 403, ("inactive_user",)),
    ]  # fmt: skip


def seconds_until_refused(make: Callable[[], object], limit: float) -> tuple[float, Refused | None]:
    """Repeats a call until it is refused, for at most `limit` seconds."""
    began = time.monotonic()
    while True:
        outcome = attempt(make)
        elapsed = time.monotonic() - began
        if outcome is not None or elapsed > limit:
            return elapsed, outcome
        time.sleep(0.02)
