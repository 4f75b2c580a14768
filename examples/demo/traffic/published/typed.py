"""Strict validators of the types that SDKs publish for their parameters."""

from __future__ import annotations

import functools
import typing
from typing import Any
from urllib.parse import parse_qsl

import pydantic
import pydantic_core
from typing_extensions import NotRequired, Required, TypedDict

from published.forms import fields
from tap import Request

# What is shown of a request that is not valid.
_MOST_PROBLEMS = 5


@functools.cache
def _validator(kind: Any) -> pydantic_core.SchemaValidator:
    return pydantic_core.SchemaValidator(_strict(pydantic.TypeAdapter(kind).core_schema))


def _strict(schema: Any) -> Any:
    """The same schema, but members that are not published are refused, and what may be iterated
    over is looked at now, not by whoever iterates."""
    if isinstance(schema, dict):
        strict = {name: _strict(value) for name, value in schema.items()}
        if strict.get("type") == "generator":
            strict["type"] = "list"
        if strict.get("type") == "typed-dict":
            strict["extra_behavior"] = "forbid"
        return strict
    if isinstance(schema, (list, tuple)):
        return type(schema)(_strict(value) for value in schema)
    return schema


def of_json(kind: Any, body: bytes) -> list[str]:
    """A JSON body; a number in quotes is no number."""
    try:
        _validator(kind).validate_json(body, strict=True)
    except pydantic_core.ValidationError as error:
        return _told(error)
    return []


def of_object(kind: Any, value: dict[str, Any]) -> list[str]:
    return of_json(kind, pydantic_core.to_json(value))


def of_form(kind: Any, request: Request) -> list[str]:
    """A multipart form, in which every value is a text or a file."""
    return _lax(_with_files(kind), fields(request))


@functools.cache
def _with_files(kind: Any) -> Any:
    """The same type, but files are their bytes: what the SDKs take for one has no form on the wire."""
    if typing.get_origin(kind) is typing.Union:
        return typing.Union[tuple(_with_files(part) for part in typing.get_args(kind))]
    members = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        hint = typing.Union[bytes, list[bytes]] if "PathLike" in repr(hint) else hint
        hint = typing.get_args(hint)[0] if typing.get_origin(hint) is Required else hint
        presence = Required if name in kind.__required_keys__ else NotRequired
        members[name] = presence[hint]
    return TypedDict(kind.__name__, members)


def of_query(kind: Any, query: str) -> list[str]:
    return _lax(kind, dict(parse_qsl(query, keep_blank_values=True)))


def _lax(kind: Any, value: dict[str, Any]) -> list[str]:
    try:
        _validator(kind).validate_python(value, strict=False)
    except pydantic_core.ValidationError as error:
        return _told(error)
    return []


def nothing(request: Request) -> list[str]:
    """An operation that takes neither body nor query."""
    found = []
    if request.body not in (b"", b"{}"):
        found.append(f"a body of {len(request.body)} bytes where none is published")
    if request.query:
        found.append(f"a query where none is published: {request.query}")
    return found


def _told(error: pydantic_core.ValidationError) -> list[str]:
    told = [
        f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}"
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    more = len(told) - _MOST_PROBLEMS
    return told[:_MOST_PROBLEMS] + ([f"… and {more} more"] if more > 0 else [])
