"""OpenAI's operations, by the types of its own SDK; Azure speaks the same under other paths."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from openai.types import (
    batch_create_params,
    batch_list_params,
    embedding_create_params,
    file_create_params,
    file_list_params,
    image_edit_params,
    image_generate_params,
)
from openai.types.audio import (
    speech_create_params,
    transcription_create_params,
    translation_create_params,
)
from openai.types.chat import completion_create_params
from openai.types.responses import (
    input_item_list_params,
    response_create_params,
    response_retrieve_params,
)

from published import typed
from tap import Request

Check = Callable[[Request], list[str]]


def _json(kind: Any) -> Check:
    return lambda request: _no_query(request) + typed.of_json(kind, request.body)


def _form(kind: Any) -> Check:
    return lambda request: _no_query(request) + typed.of_form(kind, request)


def _query(kind: Any) -> Check:
    return lambda request: typed.of_query(kind, request.query)


def _no_query(request: Request) -> list[str]:
    return [f"a query where none is published: {request.query}"] if request.query else []


_ROUTES: tuple[tuple[str, str, Check], ...] = (
    ("POST", "chat/completions", _json(completion_create_params.CompletionCreateParams)),
    ("POST", "responses", _json(response_create_params.ResponseCreateParams)),
    ("GET", "responses/{}", _query(response_retrieve_params.ResponseRetrieveParams)),
    ("GET", "responses/{}/input_items", _query(input_item_list_params.InputItemListParams)),
    ("POST", "responses/{}/cancel", typed.nothing),
    ("DELETE", "responses/{}", typed.nothing),
    ("POST", "embeddings", _json(embedding_create_params.EmbeddingCreateParams)),
    ("POST", "images/generations", _json(image_generate_params.ImageGenerateParams)),
    ("POST", "images/edits", _form(image_edit_params.ImageEditParams)),
    ("POST", "audio/speech", _json(speech_create_params.SpeechCreateParams)),
    (
        "POST",
        "audio/transcriptions",
        _form(transcription_create_params.TranscriptionCreateParams),
    ),
    ("POST", "audio/translations", _form(translation_create_params.TranslationCreateParams)),
    ("POST", "files", _form(file_create_params.FileCreateParams)),
    ("GET", "files", _query(file_list_params.FileListParams)),
    ("GET", "files/{}", typed.nothing),
    ("GET", "files/{}/content", typed.nothing),
    ("DELETE", "files/{}", typed.nothing),
    ("POST", "batches", _json(batch_create_params.BatchCreateParams)),
    ("GET", "batches", _query(batch_list_params.BatchListParams)),
    ("GET", "batches/{}", typed.nothing),
    ("POST", "batches/{}/cancel", typed.nothing),
    ("GET", "models", typed.nothing),
    ("GET", "models/{}", typed.nothing),
)


def problems(request: Request) -> list[str]:
    path = request.path.removeprefix("/v1/")
    if path == request.path:
        return ["no operation that OpenAI publishes"]
    return _by_route(request, path)


def azure_problems(request: Request) -> list[str]:
    """Azure's `v1` API, and its older ones by deployment and with an API version."""
    path = request.path.removeprefix("/openai/")
    if path == request.path:
        return ["no operation that Azure publishes"]
    if path.startswith("v1/video/"):
        # In no SDK's types; the stand-in itself knows its members.
        return []
    if path.startswith("v1/"):
        return _by_route(request, path.removeprefix("v1/"))
    version = re.search(r"(?:^|&)api-version=([^&]*)", request.query)
    if not version:
        return ["`api-version` is missing"]
    rest = re.sub(r"(?:^|&)api-version=[^&]*", "", request.query).lstrip("&")
    request = Request(request.method, request.path, rest, request.headers, request.body)
    if deployment := re.fullmatch(r"deployments/([^/]+)/(.+)", path):
        return _by_route(_with_model(request, deployment[1]), deployment[2])
    return _by_route(request, path)


def _with_model(request: Request, deployment: str) -> Request:
    """The deployment in the path is the model, whether the body repeats it or not."""
    if not (request.header("content-type") or "").startswith("application/json"):
        return request
    body = {"model": deployment, **json.loads(request.body)}
    return Request(
        request.method, request.path, request.query, request.headers, json.dumps(body).encode()
    )


def _by_route(request: Request, path: str) -> list[str]:
    for method, template, check in _ROUTES:
        pattern = re.escape(template).replace(r"\{\}", "[^/]+")
        if method == request.method and re.fullmatch(pattern, path):
            return check(request)
    return ["no operation that OpenAI publishes"]
