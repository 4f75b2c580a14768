"""The sidecar's REST API and the stand-ins' account, over plain HTTP."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx

from places import Problem
from tap import TLS, Request

_HTTP = httpx.Client(timeout=10, verify=TLS)


@dataclass(frozen=True)
class Sidecar:
    url: str
    token: str

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            answer = _HTTP.request(method, self.url + path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise Problem(
                f"no sidecar answers at {self.url} ({error}); start the demo with scripts/run"
            ) from error
        if answer.is_error:
            raise Problem(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json() if answer.content else None

    def summary(self) -> dict[str, Any]:
        return self._call("GET", "/v1/departments/usage/summary")

    def issue_key(self, department: str, name: str, scopes: list[str]) -> dict[str, Any]:
        body = {"department": department, "name": name, "scopes": scopes}
        return self._call("POST", "/v1/apikeys", body)

    def revoke_key(self, key_id: str) -> None:
        self._call("PUT", f"/v1/apikeys/{key_id}/revoke")


@dataclass(frozen=True)
class StandIns:
    url: str

    def served(self) -> dict[str, Any]:
        return self._call("GET", "served").json()

    def record(self) -> None:
        """Begins to keep the requests that arrive."""
        self._call("POST", "record")

    def stop_recording(self) -> None:
        self._call("DELETE", "record")

    def recorded(self) -> list[Request]:
        """What arrived since this was last asked."""
        return [
            Request(
                it["method"],
                it["path"],
                it["query"],
                tuple((name, value) for name, value in it["headers"]),
                base64.b64decode(it["body_base64"]),
            )
            for it in self._call("GET", "record").json()
        ]

    def _call(self, method: str, what: str) -> httpx.Response:
        try:
            answer = _HTTP.request(method, f"{self.url}/__demo/{what}")
        except httpx.HTTPError as error:
            raise Problem(
                f"no provider answers at {self.url} ({error}); start the demo with scripts/run"
            ) from error
        return answer.raise_for_status()
