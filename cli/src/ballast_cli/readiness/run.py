"""Does the checks one after the other, and looks whether the system was left as it was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import httpx
import msgspec

from ballast_cli.readiness.checks import Check
from ballast_cli.readiness.evidence import Evidence, Finding, not_here
from ballast_cli.readiness.system import System, order_id, until
from common import messages as m
from common.errors import BallastError
from common.model.enums import TradingState
from common.version import BUILD, CONTRACTS

SETTLES_WITHIN_S: Final = 15.0
NOT_ASKED: Final = "left out: it disturbs trading; say --disruptive"
_TROUBLE: Final = (BallastError, asyncpg.PostgresError, httpx.HTTPError, OSError, TimeoutError)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What checks may alter and must put back. `working` are orders by hand that work at the venue,
    `halt_waits` says that one is on the tape which nobody has answered.
    """

    trading: TradingState
    ready: tuple[str, ...]
    scopes: frozenset[str]
    working: frozenset[str]
    halt_waits: bool


def run(
    system: System, checks: Sequence[Check], *, disruptive: bool, say: Callable[[Finding], None] = lambda finding: None
) -> dict[str, Any]:
    """Everything found, as JSON. Raises TapeError where nothing answers."""
    began, before = time.time(), standing(system)
    findings = []
    for check in checks:
        findings.append(_done(check, system) if disruptive or not check.disruptive else _left_out(check))
        say(findings[-1])
    left = _altered(system, before)
    passed = {None: 0, True: 0, False: 0}
    for finding in findings:
        passed[finding.evidence.passed] += 1
    return {
        "ok": not passed[False] and not left,
        "home": str(system.home),
        "build": BUILD,
        "contracts": CONTRACTS,
        "began": datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        "took_s": round(time.time() - began, 2),
        "passed": passed[True],
        "failed": passed[False],
        "left_out": passed[None],
        "not_restored": left,
        "checks": [_plain(finding) for finding in findings],
    }


def standing(system: System) -> Standing:
    """As the tape and the processes tell. Raises TapeError where nothing runs, or nobody answers for the tape."""
    ready = tuple(name for name in system.services() if system.ready(name))
    scopes: dict[str, bool] = {}
    for each in system.said(m.ScopeHalted):
        if isinstance(each.message, m.ScopeHalted):
            scopes[f"{each.message.strategy_id}/{each.message.instrument_id}"] = each.message.halted
    return Standing(
        trading=system.trading_state(),
        ready=ready,
        scopes=frozenset(name for name, halted in scopes.items() if halted),
        working=_working_by_hand(system),
        halt_waits=_halt_waits(system),
    )


def _done(check: Check, system: System) -> Finding:
    began = time.perf_counter()
    try:
        evidence = check.run(system)
    except _TROUBLE as error:
        said = " ".join(str(error).split()) or type(error).__name__
        evidence = Evidence(passed=False, did="began it", saw=f"it could not be finished: {said}")
    return Finding(check=check.name, title=check.title, evidence=evidence, took_s=time.perf_counter() - began)


def verdict(result: Mapping[str, Any]) -> str:
    """Nobody is ready by what was not looked at."""
    if not result["ok"]:
        return "NOT READY"
    return "ready as far as it was tried" if result["left_out"] else "ready"


def _left_out(check: Check) -> Finding:
    return Finding(check=check.name, title=check.title, evidence=not_here(NOT_ASKED), took_s=0.0)


def _altered(system: System, before: Standing) -> list[str]:
    """What is not as it was, once it has had time to settle."""
    after: list[Standing] = []

    def same() -> bool:
        after.append(standing(system))
        return not list(_differences(before, after[-1]))

    try:
        until(same, SETTLES_WITHIN_S)
    except _TROUBLE as error:
        return [f"the system does not answer any more: {error}"]
    return list(_differences(before, after[-1]))


def _differences(before: Standing, after: Standing) -> Iterable[str]:
    if after.trading is not before.trading:
        yield f"trading is {after.trading}, it was {before.trading}; `ballast resume` or `ballast halt` puts that right"
    if after.halt_waits and not before.halt_waits:
        yield "a halt waits for the guardian, who does not answer"
    yield from (f"{name} is not ready any more" for name in before.ready if name not in after.ready)
    yield from (f"scope {name} is still halted" for name in sorted(after.scopes - before.scopes) if _ours(name))
    yield from (f"order {name} works still" for name in sorted(after.working - before.working))


def _ours(scope: str) -> bool:
    return scope.startswith("readiness-")


def _halt_waits(system: System) -> bool:
    """Nobody has answered the newest one."""
    asked, answered = (system.said(kind)[-1:] for kind in (m.HaltTrading, m.TradingStateChanged))
    return bool(asked) and (not answered or answered[0].seq < asked[0].seq)


def _working_by_hand(system: System) -> frozenset[str]:
    """Accepted orders of operators that have not ended."""
    by_hand = {
        order.client_order_id
        for each in system.said(m.ProposeOrders)
        if isinstance(each.message, m.ProposeOrders)
        for order in each.message.orders
    }
    if not by_hand:
        return frozenset()
    ends = (m.OrderFilled, m.OrderCanceled, m.OrderExpired, m.OrderRejected)
    accepted = {order_id(each.message) for each in system.said(m.OrderAccepted)}
    over = {
        order_id(each.message)
        for each in system.said(*ends)
        if not (isinstance(each.message, m.OrderFilled) and each.message.leaves_qty)
    }
    return frozenset(by_hand & accepted - over)


def _plain(finding: Finding) -> dict[str, Any]:
    evidence: dict[str, Any] = msgspec.to_builtins(finding.evidence)
    return {"check": finding.check, "title": finding.title, **evidence, "took_s": round(finding.took_s, 2)}
