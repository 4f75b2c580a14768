"""The Gemini API's operations, by the types of Google's own SDK. Its discovery document is in no
package; Vertex AI's is, see `vertex_api`."""

from __future__ import annotations

import re
from typing import Any, Optional

import pydantic
from google.genai import types
from pydantic.alias_generators import to_camel

from published import typed
from tap import Request


class _Wire(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        extra="forbid", alias_generator=to_camel, protected_namespaces=()
    )


class _Generate(_Wire):
    contents: list[types.Content]
    model: Optional[str] = None
    system_instruction: Optional[types.Content] = None
    generation_config: Optional[types.GenerationConfig] = None
    tools: Optional[list[types.Tool]] = None
    tool_config: Optional[types.ToolConfig] = None
    safety_settings: Optional[list[types.SafetySetting]] = None
    cached_content: Optional[str] = None
    labels: Optional[dict[str, str]] = None


class _Count(_Wire):
    contents: Optional[list[types.Content]] = None
    generate_content_request: Optional[_Generate] = None


class _Embed(_Wire):
    content: types.Content
    model: Optional[str] = None
    task_type: Optional[str] = None
    title: Optional[str] = None
    output_dimensionality: Optional[int] = None


class _EmbedBatch(_Wire):
    requests: list[_Embed]


_KINDS: dict[str, Any] = {
    "generateContent": _Generate,
    "streamGenerateContent": _Generate,
    "countTokens": _Count,
    "embedContent": _Embed,
    "batchEmbedContents": _EmbedBatch,
}


def problems(request: Request) -> list[str]:
    match = re.fullmatch(r"/(?:v1|v1beta)/models/[^/:]+:(\w+)", request.path)
    if request.method != "POST" or not match or match[1] not in _KINDS:
        return ["no operation that Gemini publishes"]
    found = typed.of_json(_KINDS[match[1]], request.body)
    if request.query not in ("", "alt=sse", "alt=json"):
        found.append(f"a query that is not published: {request.query}")
    return found
