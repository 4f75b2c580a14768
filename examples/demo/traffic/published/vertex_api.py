"""Vertex AI's operations, by the discovery documents that Google publishes for its clients."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import googleapiclient
from pydantic.alias_generators import to_camel

from tap import Request

_DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"


@functools.cache
def _document(version: str) -> dict[str, Any]:
    return json.loads((_DOCUMENTS / f"aiplatform.{version}.json").read_text(encoding="utf-8"))


def problems(request: Request) -> list[str]:
    version = request.path.strip("/").split("/")[0]
    if version not in ("v1", "v1beta1"):
        return [f"no version that Google publishes: {version}"]
    document = _document(version)
    method = _method(version, request)
    if not method:
        return ["no operation that Google publishes"]
    known = {**document["parameters"], **method["parameters"]}
    found = [
        f"a query that is not published: {name}"
        for name, _ in parse_qsl(request.query, keep_blank_values=True)
        if known.get(name, {}).get("location") != "query"
    ]
    return found + list(_mismatches(document, method["request"], json.loads(request.body), ""))


def _method(version: str, request: Request) -> dict[str, Any] | None:
    for template, verb, method in _methods(version):
        if verb == request.method and template.fullmatch(request.path):
            return method
    return None


@functools.cache
def _methods(version: str) -> list[tuple[re.Pattern[str], str, dict[str, Any]]]:
    """Those of models of publishers; a document has thousands of others."""
    found = []

    def walk(resources: dict[str, Any]) -> None:
        for resource in resources.values():
            for method in resource.get("methods", {}).values():
                path = method.get("flatPath", method["path"])
                if "/publishers/" in path and "request" in method:
                    pattern = re.sub(r"\\\{\w+\\\}", "[^/:]+", re.escape("/" + path))
                    found.append((re.compile(pattern), method["httpMethod"], method))
            walk(resource.get("resources", {}))

    walk(_document(version)["resources"])
    return found


_INTEGER = re.compile(r"-?\d+")


def _mismatches(
    document: dict[str, Any], schema: dict[str, Any], value: Any, at: str
) -> Iterator[str]:
    """Where a value is not what its schema says (Google's discovery format, JSON Schema's kin)."""
    if "$ref" in schema:
        schema = document["schemas"][schema["$ref"]]
    match schema.get("type"):
        case "object" if isinstance(value, dict):
            properties, others = schema.get("properties", {}), schema.get("additionalProperties")
            for name, member in value.items():
                # The original names are as good (proto3's JSON mapping); the SDK uses some.
                inner = properties.get(name, properties.get(to_camel(name), others))
                if inner is None:
                    yield f"{at}{name}: not published"
                else:
                    yield from _mismatches(document, inner, member, f"{at}{name}.")
        case "array" if isinstance(value, list):
            for place, item in enumerate(value):
                yield from _mismatches(document, schema["items"], item, f"{at}{place}.")
        case "string" if isinstance(value, str):
            yield from _odd_text(schema, value, at)
        case "string" if isinstance(value, int) and schema.get("format") in ("int64", "uint64"):
            pass
        case "integer" if isinstance(value, int) and not isinstance(value, bool):
            pass
        case "number" if isinstance(value, (int, float)) and not isinstance(value, bool):
            pass
        case "boolean" if isinstance(value, bool):
            pass
        case "any":
            pass
        case expected:
            yield f"{at.rstrip('.')}: not of type {expected}"


def _odd_text(schema: dict[str, Any], value: str, at: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at.rstrip('.')}: `{value}` is none of {', '.join(schema['enum'])}"
    if schema.get("format") == "byte":
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            yield f"{at.rstrip('.')}: not base64"
    if schema.get("format") in ("int64", "uint64") and not _INTEGER.fullmatch(value):
        yield f"{at.rstrip('.')}: `{value}` is no integer"
