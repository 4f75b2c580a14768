"""What became of a request on its way: which differences the policy asks for, and all others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tap import Request

# Of one connection, or made anew by whoever sends.
_PER_HOP = {
    "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive",
    "transfer-encoding",
}  # fmt: skip
# The caller's go no further, the provider's are the gateway's.
_CREDENTIALS = {
    "amz-sdk-invocation-id", "amz-sdk-request", "api-key", "authorization", "x-amz-content-sha256",
    "x-amz-date", "x-amz-security-token", "x-api-key", "x-goog-api-key",
}  # fmt: skip
# What Envoy adds.
_ADDED = ("x-envoy-", "x-forwarded-", "x-request-id")
_ABSENT = object()


def differences(sent: Request, arrived: Request, names: dict[str, str]) -> list[str]:
    """Every difference that no policy asks for. `names` are models that have another name with
    their provider: the caller's to the provider's."""
    found = []
    for what in ("method", "path", "query"):
        before, after = getattr(sent, what), getattr(arrived, what)
        if before != after:
            found.append(f"{what} `{before}` arrived as `{after}`")
    found += _headers(sent, arrived)
    return found + _bodies(sent, arrived, names)


def _headers(sent: Request, arrived: Request) -> Iterator[str]:
    before, after = _compared(sent), _compared(arrived)
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one == other or (one is None and name.startswith(_ADDED)):
            continue
        # What the gateway has read as JSON it calls JSON, so that nobody reads anything else.
        if name == "content-type" and one is None and other == "application/json":
            continue
        yield f"header `{name}`: {one} arrived as {other}"


def _compared(request: Request) -> dict[str, str]:
    ignored = _PER_HOP | _CREDENTIALS
    return {name: value for name, value in request.headers if name not in ignored}


def _bodies(sent: Request, arrived: Request, names: dict[str, str]) -> list[str]:
    if sent.body == arrived.body:
        return []
    try:
        before, after = json.loads(sent.body), json.loads(arrived.body)
    except ValueError:
        return [f"a body of {len(sent.body)} bytes arrived as another of {len(arrived.body)}"]
    return [
        f"body: {at} {_shown(one)} arrived as {_shown(other)}"
        for at, one, other in _changes(before, after, "")
        if not _asked_for(at, one, other, before, names)
    ]


def _changes(before: Any, after: Any, at: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() | after.keys():
            yield from _changes(before.get(name, _ABSENT), after.get(name, _ABSENT), f"{at}/{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, pair in enumerate(zip(before, after, strict=True)):
            yield from _changes(*pair, f"{at}/{place}")
    elif before is not after and (type(before), before) != (type(after), after):
        yield at, before, after


def _asked_for(at: str, one: Any, other: Any, body: Any, names: dict[str, str]) -> bool:
    """The gateway asks for usage where nobody else did, and calls models by their provider's names."""
    if at == "/stream_options":
        return one is _ABSENT and other == {"include_usage": True} and body.get("stream") is True
    if at == "/stream_options/include_usage":
        return other is True
    return at == "/model" and names.get(one) == other


def _shown(value: Any) -> str:
    return "(absent)" if value is _ABSENT else json.dumps(value)[:80]
