"""Anthropic's operations, by the types of its own SDK."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from anthropic.types import (
    message_count_tokens_params,
    message_create_params,
    model_list_params,
)
from anthropic.types.messages import batch_create_params, batch_list_params

from published import typed
from tap import Request

# What the SDK's older and newer major versions send.
_VERSIONS = ("2023-06-01", "2026-10-21")
_BEDROCK_VERSIONS = ("bedrock-2023-05-31", "2026-10-21")

_CREATE = message_create_params.MessageCreateParams


def _json(kind: Any) -> Callable[[Request], list[str]]:
    return lambda request: typed.of_json(kind, request.body)


def _query(kind: Any) -> Callable[[Request], list[str]]:
    return lambda request: typed.of_query(kind, request.query)


_ROUTES: tuple[tuple[str, str, Callable[[Request], list[str]]], ...] = (
    ("POST", "messages", _json(_CREATE)),
    (
        "POST",
        "messages/count_tokens",
        _json(message_count_tokens_params.MessageCountTokensParams),
    ),
    ("POST", "messages/batches", _json(batch_create_params.BatchCreateParams)),
    ("GET", "messages/batches", _query(batch_list_params.BatchListParams)),
    ("GET", "messages/batches/{}", typed.nothing),
    ("GET", "messages/batches/{}/results", typed.nothing),
    ("POST", "messages/batches/{}/cancel", typed.nothing),
    ("DELETE", "messages/batches/{}", typed.nothing),
    ("GET", "models", _query(model_list_params.ModelListParams)),
    ("GET", "models/{}", typed.nothing),
)


def problems(request: Request) -> list[str]:
    version = request.header("anthropic-version")
    found = [] if version in _VERSIONS else [f"`anthropic-version` is `{version}`"]
    for method, template, check in _ROUTES:
        pattern = re.escape("/v1/" + template).replace(r"\{\}", "[^/]+")
        if method == request.method and re.fullmatch(pattern, request.path):
            return found + check(request)
    return [*found, "no operation that Anthropic publishes"]


def problems_of_bedrock_body(body: bytes) -> list[str]:
    """The same messages as Bedrock's `invoke` carries them: the model is in the path, a stream is
    asked for by it, and the version stands in the body."""
    members = json.loads(body)
    version = members.pop("anthropic_version", None)
    found = [] if version in _BEDROCK_VERSIONS else [f"`anthropic_version` is `{version}`"]
    betas = members.pop("anthropic_beta", [])
    if not isinstance(betas, list):
        found.append("`anthropic_beta` is not a list")
    found += [f"`{name}` has no place here" for name in ("model", "stream") if name in members]
    return found + typed.of_object(_CREATE, {"model": "in the path", **members})
