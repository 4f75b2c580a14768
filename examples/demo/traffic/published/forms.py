"""Multipart forms as the SDKs send them (RFC 7578), read by Python's own parser of messages."""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from tap import Request


def _text(value: str) -> str | bool:
    """Forms have no types: these two words are how the SDKs write truth."""
    return {"true": True, "false": False}.get(value, value)


def fields(request: Request) -> dict[str, Any]:
    """Texts as they are, files as bytes; several of a name, sent as `name[]`, as a list."""
    head = f"content-type: {request.header('content-type')}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + request.body)
    found: dict[str, Any] = {}
    for part in message.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_payload(decode=True)
        value = content if part.get_filename() is not None else _text(content.decode())
        if name.endswith("[]"):
            found.setdefault(name[:-2], []).append(value)
        elif "[" in name:
            outer, _, inner = name.partition("[")
            found.setdefault(outer, {})[inner.rstrip("]")] = value
        else:
            found[name] = value
    return found
