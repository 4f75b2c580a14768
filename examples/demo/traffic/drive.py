#!/usr/bin/env python3
"""Drives the official SDKs through the gateway, sees that what must be refused is refused,
and that the bill equals what the providers served. Exits 0 only if all is as it must be."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import account
import calls
import refusals
import shapes
import table
from account import Policy, Seen
from calls import Call
from inspection import Inspection
from places import PROVIDERS, REPOSITORY, Direct, Gateway, Problem, Tokens
from sidecar import Sidecar, StandIns
from tap import Tap

DEPARTMENT = {
    "taro": "営業部",
    "kenichi": "営業部",
    "hanako": "人事部",
    "ichiro": "システム部",
    "yuko": "経理部",
}
# A budget that has not stopped its department after so many calls does not stop it.
MOST_CALLS_UNDER_BUDGET = 300
# Enough to use up a budget and to be refused twice.
ROOM_SECONDS = 12.0
# Of a table's column.
WIDEST_MODEL = 41
# Completions reach the sidecar in batches.
SETTLE_SECONDS = 10.0


def port(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


def arguments() -> argparse.Namespace:
    gateway = f"http://127.0.0.1:{port('SEKISHO_GATEWAY_PORT', 10000)}"
    tls = f"https://127.0.0.1:{port('SEKISHO_GATEWAY_TLS_PORT', 10443)}"
    sidecar = f"http://127.0.0.1:{port('SEKISHO_API_PORT', 8080)}"
    demo = REPOSITORY / "examples" / "demo"
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--gateway", default=gateway, help="default: %(default)s")
    add("--gateway-tls", default=tls, help="for boto3; default: %(default)s")
    add("--ca-file", help="certificates that vouch for the gateway's TLS listener")
    add("--sidecar", default=sidecar, help="default: %(default)s")
    add(
        "--providers-port",
        type=int,
        default=port("SEKISHO_PROVIDERS_PORT", 8091),
        help="the first of the stand-ins' ports; default: %(default)s",
    )
    add("--policy", type=Path, default=demo / "sekisho.yaml", help="default: %(default)s")
    add(
        "--token-command",
        type=Path,
        default=REPOSITORY / "scripts" / "token",
        help="prints a person's token; default: %(default)s",
    )
    add(
        "--stopped",
        default="hanako",
        metavar="PERSON",
        help="whose department is to reach its budget; default: %(default)s",
    )
    add(
        "--unstopped",
        default="kenichi",
        metavar="PERSON",
        help="whose department goes on meanwhile; default: %(default)s",
    )
    add(
        "--only",
        choices=("traffic", "operations", "refusals", "shapes", "silence", "budget", "keys"),
        action="append",
        help="do this part only, and then compare the accounts (repeatable)",
    )
    add(
        "--sidecar-pid",
        type=int,
        metavar="PID",
        help="the sidecar's process, to be held still for a moment; without it that part is left out",
    )
    add(
        "--direct",
        action="store_true",
        help="without gateway: try the SDKs against the stand-ins themselves",
    )
    return parser.parse_args()  # fmt: skip


def wait_for_room_in_the_minute() -> None:
    """A budget of a minute that began anew in the middle would look like none."""
    left = 60 - time.time() % 60
    if left < ROOM_SECONDS:
        table.lines([f"(waiting {left:.0f} s for the next minute to begin)"])
        time.sleep(left)


class Drive:
    """One run: who calls, what was seen, and what was not as it must be."""

    def __init__(self, gateway: Gateway, tokens: Tokens) -> None:
        self.gateway = gateway
        self.tokens = tokens
        self.seen = Seen()
        self.failures: list[str] = []
        self.rows: table.Table

    def check(self, good: bool, failure: str) -> bool:
        if not good:
            self.failures.append(failure)
        return good

    def call(self, person: str, call: Call, credential: str | None = None) -> calls.Used:
        return self.count(
            person, call, lambda: call.make(self.gateway, credential or self.tokens.of(person))
        )

    def count(self, person: str, call: Call, make: Callable[[], calls.Used]) -> calls.Used:
        used = make()
        self.seen.add(DEPARTMENT[person], (call.provider, call.model), used)
        return used

    def traffic(self) -> None:
        table.heading("Calls through the gateway")
        rows = table.Table(
            ("person", 8), ("SDK", 14), ("call", 18), ("upstream", 17), ("model", 41),
            ("tokens", 8), ("", 2),
        )  # fmt: skip
        for person, call in calls.TRAFFIC:
            try:
                used = self.call(person, call)
                result, good = f"{used.input}+{used.output}", True
            except Exception as error:  # whatever it is, the call failed
                result, good = "", False
                self.failures.append(f"{person}, {call.sdk} {call.operation}: {_brief(error)}")
            rows.row(
                person, call.sdk, call.operation, call.provider, call.model, result,
                table.mark(good),
            )  # fmt: skip

    def operations(self, stand_ins: StandIns, opened: set[tuple[str, str]]) -> None:
        table.heading("Every operation of every SDK, against what the providers publish")
        place = replace(self.gateway, tap=Tap())
        token = self.tokens.of("ichiro")
        inspection = Inspection(place, stand_ins)
        seen = inspection.run(dict.fromkeys(PROVIDERS, token), opened)
        self.seen.include(seen, DEPARTMENT["ichiro"])
        self.failures += inspection.failures
        _print_inspection(inspection)

    def refusals(self) -> None:
        table.heading("Calls that must be refused")
        rows = table.Table(("who", 8), ("why", 32), ("outcome", 52), ("", 2))
        for case in refusals.cases(self.gateway, self.tokens):
            outcome = refusals.attempt(case.make)
            problem, shown = case.problem(outcome), str(outcome or "let through")
            good = self.check(problem is None, f"{case.who}, {case.what}: {problem}")
            rows.row(case.who, case.what, shown, table.mark(good))

    def budget(self, stopped: str, unstopped: str) -> None:
        one, other_one = DEPARTMENT[stopped], DEPARTMENT[unstopped]
        table.heading(f"A budget: {one} is stopped, {other_one} goes on")
        call = calls.compatible_chat("gpt-4o")
        wait_for_room_in_the_minute()
        outcome, allowed = None, 0
        while allowed < MOST_CALLS_UNDER_BUDGET:
            outcome = refusals.attempt(lambda: self.call(stopped, call))
            if outcome is not None:
                break
            allowed += 1
        as_told = outcome is not None and (outcome.exception, outcome.status, outcome.denial) == (
            "RateLimitError", 429, "budget_exhausted",
        )  # fmt: skip
        self.check(as_told, f"no budget stopped {stopped} after {allowed} calls: {outcome}")
        if as_told:
            self.check(bool(outcome.retry_after), "the refusal says no Retry-After")
        table.lines([f"{table.mark(as_told)} {stopped}: {allowed} more calls, then {outcome}"])
        again = refusals.attempt(lambda: self.call(stopped, call))
        good = self.check(again is not None, f"{stopped} was let through after the budget's end")
        table.lines([f"{table.mark(good)} {stopped}, once more: {again or 'let through'}"])
        self.shape_rows()
        for shape in shapes.SHAPES:
            self.shape(shape, 429, ("budget_exhausted",), self.tokens.of(stopped))
        other = refusals.attempt(lambda: self.call(unstopped, call))
        good = self.check(other is None, f"{unstopped} was refused too: {other}")
        table.lines([f"{table.mark(good)} {unstopped}: {other or 'answered'}"])

    def shape_rows(self) -> None:
        columns = (("SDK", 14), ("status", 6), ("exception", 27), ("denial", 18), ("", 2))
        self.rows = table.Table(*columns)

    def shape(
        self, shape: shapes.Shape, status: int, denials: tuple[str, ...], credential: str
    ) -> None:
        """Makes a call that is refused, and holds the refusal to the SDK's shape."""
        make = shape.elsewhere if status == 404 else shape.call.make
        outcome = refusals.attempt(lambda: make(self.gateway, credential))
        problem = shapes.problem(shape, status, denials, outcome, credential)
        good = self.check(problem is None, f"{shape.call.sdk}, {denials[0]}: {problem}")
        cells = (outcome.exception, outcome.denial) if outcome else ("let through", "")
        self.rows.row(shape.call.sdk, status, *cells, table.mark(good))

    def shapes(self, sidecar: Sidecar, department: str) -> None:
        """A company key may do everything, a narrow one only what text APIs do not need."""
        wide = sidecar.issue_key(department, "shapes", ["all_apis"])["key"]
        narrow = sidecar.issue_key(department, "shapes, narrow", ["audio_apis"])["key"]
        forged = refusals.with_broken_signature(self.tokens.of("ichiro"))
        table.heading("Each refusal is an exception of the SDK that called")
        self.shape_rows()
        for shape in shapes.SHAPES:
            self.shape(shape, 401, ("bad_signature",), forged)
            self.shape(shape, 403, ("missing_scope",), narrow)
            self.shape(shape, 403, ("inactive_user",), self.tokens.of("yuko"))
            self.shape(shape, 404, ("unknown_model",), wide)
        table.heading("SDKs with nothing but a base URL and a subscription key")
        for call, make in shapes.with_nothing_but_a_key(self.gateway, wide):
            outcome = refusals.attempt(lambda make=make, call=call: self.count("ichiro", call, make))
            good = self.check(outcome is None, f"{call.sdk} with nothing but a key: {outcome}")
            table.lines([f"{table.mark(good)} {call.sdk}: {outcome or 'answered'}"])

    def silence(self, sidecar: int) -> None:
        table.heading("A sidecar that is silent: no call without a record")
        self.shape_rows()
        call = calls.compatible_chat("gpt-4o")
        with shapes.silent(sidecar, lambda: self.call("ichiro", call)):
            for shape in shapes.SHAPES:
                denials = ("record_unavailable", "policy_unavailable")
                self.shape(shape, 503, denials, self.tokens.of("ichiro"))
        outcome = refusals.attempt(lambda: self.call("ichiro", call))
        good = self.check(outcome is None, f"calls do not pass again: {outcome}")
        table.lines([f"{table.mark(good)} heard again: {outcome or 'answered'}"])

    def keys(self, sidecar: Sidecar, department: str) -> None:
        table.heading("A subscription key, and its revocation")
        issued = sidecar.issue_key(department, "demo", ["text_apis"])
        key = issued["key"]
        for call in (calls.AZURE_CHAT, calls.compatible_chat("gpt-4o"), calls.GENERATE):
            outcome = refusals.with_a_new_key(lambda call=call: self.call("kenichi", call, key))
            good = self.check(outcome is None, f"the new key was refused by {call.sdk}: {outcome}")
            table.lines([f"{table.mark(good)} {call.sdk}: {outcome or 'answered'}"])
        sidecar.revoke_key(issued["id"])
        chat = calls.compatible_chat("gpt-4o")
        limit = refusals.REVOCATION_SECONDS
        seconds, outcome = refusals.seconds_until_refused(
            lambda: self.call("kenichi", chat, key), limit
        )
        good = self.check(
            outcome is not None and outcome.status == 401 and seconds <= limit
            and outcome.denial in ("revoked_key", "unknown_key"),
            f"the revoked key was not refused with 401 within {limit} s: {outcome}",
        )  # fmt: skip
        after = f"refused after {seconds * 1000:.0f} ms"
        table.lines([f"{table.mark(good)} revoked: {after}, {outcome}"])

    def accounts(
        self, sidecar: Sidecar, stand_ins: StandIns, policy: Policy, before: dict[str, Any]
    ) -> None:
        """Waits for the bill to be complete, then compares it with both other accounts."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            summary, report = sidecar.summary(), stand_ins.served()
            served = account.since(account.served(report, policy), before["served"])
            billed = account.since(account.billed_models(summary, policy), before["models"])
            departments = account.since(account.billed_departments(summary), before["departments"])
            found = account.differences(billed, served, ("billed", "served"), with_cost=True)
            found += account.differences(
                departments, self.seen.departments, ("billed", "answered"), with_cost=False
            )
            if not found or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        found += account.differences(
            served, self.seen.models, ("served", "answered"), with_cost=False
        )
        violations = report["violations"][before["violations"] :]
        found += [f"reached a provider: {it['what']} ({it['path']})" for it in violations]
        self.failures += found
        _print_accounts(summary, departments, served, billed, found)


def _print_inspection(inspection: Inspection) -> None:
    rows = table.Table(
        ("SDK", 21), ("operations", 10), ("requests", 8), ("invalid", 7), ("altered", 7), ("", 2)
    )
    for sdk, row in inspection.rows.items():
        good = not (row.invalid or row.altered or row.wrong)
        counts = (row.operations, row.requests, row.invalid, row.altered)
        rows.row(sdk, *counts, table.mark(good))
    if inspection.closed:
        shut = len(inspection.closed)
        table.lines([f"(left out, because the policy does not open them: {shut})"])


def _print_accounts(
    summary: dict[str, Any],
    departments: dict[str, account.Figures],
    served: dict[account.Model, account.Figures],
    billed: dict[account.Model, account.Figures],
    found: list[str],
) -> None:
    currency = next((row["cost"]["currency"] for row in summary["departments"]), "")
    table.heading("Usage and cost by department, of this run")
    columns = (("calls", 6), ("input", 7), ("output", 7), (f"cost, {currency}", 14))
    rows = table.Table(("department", 12), *columns)
    for name, figures in departments.items():
        rows.row(name, *figures.tokens(), figures.cost)
    table.heading("The bill beside what the providers say they served")
    rows = table.Table(("upstream", 17), ("model", WIDEST_MODEL), *columns, ("", 2))
    for model in sorted(set(served) | set(billed)):
        ours = billed.get(model, account.Figures())
        theirs = served.get(model, account.Figures())
        if not any((*ours.tokens(), *theirs.tokens())):
            continue
        equal = (ours.tokens(), ours.cost) == (theirs.tokens(), theirs.cost)
        provider, name = model
        # An ARN tells by its end.
        name = name if len(name) <= WIDEST_MODEL else "…" + name[1 - WIDEST_MODEL :]
        rows.row(provider, name, *ours.tokens(), ours.cost, table.mark(equal))
    good = not found
    verdict = "all accounts are equal" if good else "the accounts differ"
    table.lines(["", f"{table.mark(good)} {verdict}"])


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"


def through_gateway(options: argparse.Namespace) -> list[str]:
    gateway = Gateway(options.gateway, options.gateway_tls, options.ca_file)
    tokens = Tokens(options.token_command)
    sidecar = Sidecar(options.sidecar, tokens.of("ichiro"))
    stand_ins = StandIns(f"http://127.0.0.1:{options.providers_port}")
    if not options.policy.is_file():
        raise Problem(f"there is no policy {options.policy}; name it with --policy")
    policy = Policy(options.policy)
    summary, report = sidecar.summary(), stand_ins.served()
    before = {
        "violations": len(report["violations"]),
        "served": account.served(report, policy),
        "models": account.billed_models(summary, policy),
        "departments": account.billed_departments(summary),
    }
    drive = Drive(gateway, tokens)
    parts = {
        "traffic": drive.traffic,
        "operations": lambda: drive.operations(stand_ins, policy.opened),
        "refusals": drive.refusals,
        "shapes": lambda: drive.shapes(sidecar, policy.department_ids[DEPARTMENT["ichiro"]]),
        "silence": lambda: options.sidecar_pid and drive.silence(options.sidecar_pid),
        "keys": lambda: drive.keys(sidecar, policy.department_ids[DEPARTMENT["kenichi"]]),
        "budget": lambda: drive.budget(options.stopped, options.unstopped),
    }
    for name, part in parts.items():
        if not options.only or name in options.only:
            part()
    drive.accounts(sidecar, stand_ins, policy, before)
    return drive.failures


def without_gateway(options: argparse.Namespace) -> list[str]:
    env = os.environ.get
    keys = {
        "azure-openai": env("SEKISHO_DEMO_AZURE_OPENAI_KEY", "demo-azure-openai-key"),
        "openai-compatible": env("SEKISHO_DEMO_OPENAI_KEY", "demo-openai-key"),
        "anthropic": env("SEKISHO_DEMO_ANTHROPIC_KEY", "demo-anthropic-key"),
        "gemini": env("SEKISHO_DEMO_GEMINI_KEY", "demo-gemini-key"),
        "bedrock": "",
        "vertex": env("SEKISHO_DEMO_VERTEX_TOKEN", "demo-vertex-token"),
    }
    place = Direct(
        "127.0.0.1", options.providers_port, keys,
        env("SEKISHO_DEMO_BEDROCK_ACCESS_KEY_ID", "AKIDDEMOSEKISHO"),
        env("SEKISHO_DEMO_BEDROCK_SECRET_ACCESS_KEY", "demo-bedrock-secret"),
        tap=Tap(),
    )  # fmt: skip
    table.heading("Every operation of every SDK, straight to the stand-ins")
    inspection = Inspection(place, StandIns(place.url_of(PROVIDERS[0])))
    inspection.run(keys, None)
    _print_inspection(inspection)
    return inspection.failures


def main() -> int:
    options = arguments()
    try:
        failures = without_gateway(options) if options.direct else through_gateway(options)
    except Problem as problem:
        print(f"drive: {problem}", file=sys.stderr)
        return 2
    if failures:
        table.heading(f"{len(failures)} not as it must be")
        table.lines(failures)
        return 1
    table.heading("All is as it must be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
