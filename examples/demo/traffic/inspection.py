"""Runs every operation of every SDK, and looks at each request that came of it: whether the
provider's own description allows it, and whether it is what the SDK sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import altered
import operations
import published
from account import Figures, Seen
from calls import Used
from operations import Operation
from places import Direct, Place
from sidecar import StandIns
from tap import Request


@dataclass
class Row:
    """What an SDK's operations came to."""

    operations: int = 0
    requests: int = 0
    invalid: int = 0
    altered: int = 0
    wrong: int = 0


@dataclass
class Inspection:
    place: Place
    stand_ins: StandIns
    # Models that have another name with their provider.
    names: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    # Operations that the policy does not open, which were left out.
    closed: list[str] = field(default_factory=list)

    def run(self, credentials: dict[str, str], opened: set[tuple[str, str]] | None) -> Seen:
        """Calls each operation whose parts are `opened` (pairs of a provider and the name of an
        operation or a model; `None`: all). Returns what was used."""
        seen = Seen()
        self.stand_ins.record()
        try:
            for operation in operations.ALL:
                if opened is not None and not _is_open(operation, opened):
                    self.closed.append(f"{operation.sdk}: {operation.what}")
                    continue
                self._one(operation, credentials[operation.provider], seen)
        finally:
            self.stand_ins.stop_recording()
        return seen

    def _one(self, operation: Operation, credential: str, seen: Seen) -> None:
        row = self.rows.setdefault(operation.sdk, Row())
        row.operations += 1
        name = f"{operation.sdk}, {operation.what}"
        before = len(self.stand_ins.served()["calls"])
        self.place.tap.take()
        try:
            told = operation.run(self.place, credential)
        except Exception as error:  # whatever it is, the operation failed
            row.wrong += 1
            self.failures.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
            told = None
        sent, arrived = self.place.tap.take(), self.stand_ins.recorded()
        row.requests += len(arrived)
        self._requests(name, row, operation.provider, sent, arrived)
        calls = self.stand_ins.served()["calls"][before:]
        self._usage(name, row, told, calls, seen)

    def _requests(
        self, name: str, row: Row, provider: str, sent: list[Request], arrived: list[Request]
    ) -> None:
        if len(sent) != len(arrived):
            row.wrong += 1
            self.failures.append(f"{name}: {len(sent)} requests sent, {len(arrived)} arrived")
        for request in arrived:
            found = published.problems(provider, request)
            # A check that lets everything pass would say the same of every request.
            if not found and _notices_nothing(provider, request):
                found = [f"{request.method} {request.path}: its description allows everything"]
            row.invalid += bool(found)
            self.failures += [f"{name}: invalid: {problem}" for problem in found]
        for one, other in zip(sent, arrived, strict=False):
            if isinstance(self.place, Direct):
                break
            found = altered.differences(one, other, self.names)
            row.altered += bool(found)
            self.failures += [f"{name}: altered: {difference}" for difference in found]

    def _usage(
        self, name: str, row: Row, told: Used | None, calls: list[dict[str, Any]], seen: Seen
    ) -> None:
        """What the SDK was told is what the stand-in says that it served."""
        total = Figures()
        for call in calls:
            used = Used(call["input_tokens"], call["output_tokens"])
            total.add(used)
            seen.add("", (call["provider"], call["model"]), used)
        if told is not None and (told.input, told.output) != (total.input, total.output):
            row.wrong += 1
            self.failures.append(
                f"{name}: told {told.input}+{told.output}, served {total.input}+{total.output}"
            )


def _is_open(operation: Operation, opened: set[tuple[str, str]]) -> bool:
    wanted = [*operation.opens, operation.model]
    return all((operation.provider, name) in opened for name in wanted if name)


def _notices_nothing(provider: str, request: Request) -> bool:
    """Whether a member that nobody publishes would pass."""
    is_json = (request.header("content-type") or "").startswith("application/json")
    if not is_json or not request.body:
        return False
    body = json.loads(request.body)
    if not isinstance(body, dict) or not body or "/v1/video/" in request.path:
        return False
    body["sekisho_demo"] = 1
    changed = Request(
        request.method, request.path, request.query, request.headers, json.dumps(body).encode()
    )
    return not published.problems(provider, changed)
