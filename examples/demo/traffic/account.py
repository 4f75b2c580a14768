"""Three accounts of the same calls: what the SDKs were told, what the providers served,
and what the gateway's sidecar put on the bill. They must be equal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from calls import Used

MICRO = 1_000_000

# A provider and the name that it has for a model.
Model = tuple[str, str]


@dataclass
class Figures:
    calls: int = 0
    input: int = 0
    output: int = 0
    cost: Decimal = Decimal(0)

    def add(self, used: Used) -> None:
        self.calls += 1
        self.input += used.input
        self.output += used.output

    def include(self, other: Figures) -> None:
        self.calls += other.calls
        self.input += other.input
        self.output += other.output
        self.cost += other.cost

    def __sub__(self, other: Figures) -> Figures:
        return Figures(
            self.calls - other.calls,
            self.input - other.input,
            self.output - other.output,
            self.cost - other.cost,
        )

    def tokens(self) -> tuple[int, int, int]:
        return (self.calls, self.input, self.output)


@dataclass
class Seen:
    """What the SDKs were told, by department and by model; free calls concern no model."""

    departments: defaultdict[str, Figures] = field(default_factory=lambda: defaultdict(Figures))
    models: defaultdict[Model, Figures] = field(default_factory=lambda: defaultdict(Figures))

    def add(self, department: str, model: Model, used: Used) -> None:
        self.departments[department].add(used)
        if model[1]:
            self.models[model].add(used)

    def include(self, other: Seen, department: str) -> None:
        """Takes over what a department's calls came to."""
        for figures in other.departments.values():
            self.departments[department].include(figures)
        for model, figures in other.models.items():
            self.models[model].include(figures)


_PROVIDER_OF = {
    "azure_openai": "azure-openai",
    "openai": "openai-compatible",
    "anthropic": "anthropic",
    "bedrock": "bedrock",
    "gemini": "gemini",
    "vertex": "vertex",
}


class Policy:
    """The policy's departments, models and prices, read from sekisho.yaml."""

    def __init__(self, path: Path) -> None:
        policy = yaml.safe_load(path.read_text(encoding="utf-8"))
        wires = {upstream["name"]: upstream["provider"] for upstream in policy["upstreams"]}
        self.department_ids = {it["name"]: it["id"] for it in policy["departments"]}
        self.opened = {
            (_PROVIDER_OF[api["provider"]], operation)
            for api in policy["apis"]
            if api["provider"] in _PROVIDER_OF
            for operation in [*api["operations"], *(model["name"] for model in api["models"])]
        }
        self._upstream_of: dict[tuple[str, str], Model] = {}
        self._price_of: dict[Model, dict[str, int]] = {}
        for api in policy["apis"]:
            for model in api["models"]:
                upstream = model.get("upstream") or model["upstreams"][0]["name"]
                provider = _PROVIDER_OF[wires[upstream]]
                at = (provider, model.get("upstream_model") or model["name"])
                self._upstream_of[api["name"], model["name"]] = at
                self._price_of[at] = _price(policy["prices"], model.get("price") or model["name"])

    def upstream_of(self, api: str, model: str) -> Model:
        return self._upstream_of.get((api, model), (api, model))

    def cost(self, model: Model, used: Used) -> Decimal:
        """Of one call: rounded up once, to the millionth."""
        price = self._price_of.get(model, {})
        millionths = used.input * price.get("input_per_million", 0)
        millionths += used.output * price.get("output_per_million", 0)
        micros = -(-millionths // MICRO) + price.get("per_request", 0)
        return Decimal(micros) / MICRO


def _price(prices: Iterable[dict[str, Any]], name: str) -> dict[str, int]:
    begun = [it for it in prices if it["model"] == name and str(it["from"]) <= str(date.today())]
    if not begun:
        return {}
    latest = max(begun, key=lambda it: str(it["from"]))
    members = ("input_per_million", "output_per_million", "per_request")
    return {name: int(Decimal(str(latest.get(name) or 0)) * MICRO) for name in members}


def served(report: dict[str, Any], policy: Policy | None) -> dict[Model, Figures]:
    """The providers' account: complete, successful calls."""
    figures: defaultdict[Model, Figures] = defaultdict(Figures)
    for call in report["calls"]:
        if call["state"] != "complete" or (call["status"] or 0) >= 400:
            continue
        model = (call["provider"], call["model"])
        if not call["model"]:
            continue
        used = Used(call["input_tokens"], call["output_tokens"])
        figures[model].add(used)
        if policy:
            figures[model].cost += policy.cost(model, used)
    return dict(figures)


def _figures(row: dict[str, Any]) -> Figures:
    amount = Decimal(row["cost"]["amount"])
    return Figures(row["requests"], row["input_tokens"], row["output_tokens"], amount)


def billed_models(summary: dict[str, Any], policy: Policy) -> dict[Model, Figures]:
    """The sidecar's account by model."""
    total: defaultdict[Model, Figures] = defaultdict(Figures)
    for department in summary["departments"]:
        for row in department["models"]:
            # Refused calls reached no model.
            if not row.get("model"):
                continue
            total[policy.upstream_of(row["api"], row["model"])].include(_figures(row))
    return dict(total)


def billed_departments(summary: dict[str, Any]) -> dict[str, Figures]:
    """The sidecar's account by department's name."""
    return {row["department"]["name"]: _figures(row) for row in summary["departments"]}


def since(now: dict[Any, Figures], before: dict[Any, Figures]) -> dict[Any, Figures]:
    return {key: figures - before.get(key, Figures()) for key, figures in now.items()}


def differences(
    left: dict[Any, Figures], right: dict[Any, Figures], names: tuple[str, str], with_cost: bool
) -> list[str]:
    """One sentence for every figure that is not equal."""
    found = []
    for key in sorted(set(left) | set(right)):
        a, b = left.get(key, Figures()), right.get(key, Figures())
        pairs = [("calls", a.calls, b.calls), ("input tokens", a.input, b.input)]
        pairs += [("output tokens", a.output, b.output)]
        pairs += [("cost", a.cost, b.cost)] if with_cost else []
        label = " ".join(key) if isinstance(key, tuple) else key
        found += [
            f"{label}: {names[0]} {x} {what}, {names[1]} {y}" for what, x, y in pairs if x != y
        ]
    return found
