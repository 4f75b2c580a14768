"""What the SDKs sent, taken where they hand it to the network: before any gateway."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx


# Read once: a context of its own for every client would take longer than the calls.
TLS = ssl.create_default_context()


@dataclass(frozen=True)
class Request:
    """One HTTP request. Header names are in lower case; the path is as sent, still encoded."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


@dataclass
class Tap:
    """Notes requests in the order in which they were sent."""

    sent: list[Request] = field(default_factory=list)

    def http_client(self) -> httpx.Client:
        """What openai, anthropic and google-genai send their requests with."""
        return httpx.Client(
            event_hooks={"request": [self._from_httpx]}, verify=TLS, timeout=30
        )

    def listen_to(self, client: Any) -> None:
        """Notes what a client of boto3 sends."""
        client.meta.events.register_last("before-send.bedrock-runtime", self._from_botocore)

    def take(self) -> list[Request]:
        taken, self.sent = self.sent, []
        return taken

    def _from_httpx(self, request: httpx.Request) -> None:
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        headers = tuple((name.lower(), value) for name, value in request.headers.multi_items())
        self.sent.append(Request(request.method, path, query, headers, request.read()))

    def _from_botocore(self, request: Any, **_: Any) -> None:
        url = urlsplit(request.url)
        headers = tuple((name.lower(), _text(value)) for name, value in request.headers.items())
        body = request.body or b""
        self.sent.append(
            Request(
                request.method,
                url.path,
                url.query,
                headers,
                body.encode() if isinstance(body, str) else bytes(body),
            )
        )


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
