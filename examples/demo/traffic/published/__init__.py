"""Holds requests against what the providers publish of their APIs, as packages carry it: botocore's
service model of Bedrock, Google's discovery document of Vertex AI, and the types of OpenAI's,
Anthropic's and Google's own SDKs. None of these was written for this project."""

from __future__ import annotations

from collections.abc import Callable

from published import anthropic_api, bedrock_api, gemini_api, openai_api, vertex_api
from tap import Request

_CHECKS: dict[str, Callable[[Request], list[str]]] = {
    "azure-openai": openai_api.azure_problems,
    "openai-compatible": openai_api.problems,
    "anthropic": anthropic_api.problems,
    "bedrock": bedrock_api.problems,
    "gemini": gemini_api.problems,
    "vertex": vertex_api.problems,
}


def problems(provider: str, request: Request) -> list[str]:
    """Why the provider's description does not allow the request; empty if it does."""
    at = f"{request.method} {request.path}"
    return [f"{at}: {problem}" for problem in _CHECKS[provider](request)]
