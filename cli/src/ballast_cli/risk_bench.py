"""`ballast bench risk`: what one decision of the guardian costs with a full book and every control on.

Fifty positions in pairs, crosses and coins, five hundred days of history, resting orders, every limit of the settings set, and
limits on stress scenarios besides. Each step is a minute: a slice with a bar and a quote of every instrument, the fills of
the step before, and one order that is judged. Times are of `core.handle` alone, garbage collection as in production: on.

Beside it two floors on the same machine: the arithmetic that no VaR can do without (one vector added to the book's returns,
one partition), and the same orders with every measure of risk off, so that only the table of plain checks is asked.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from ballast_cli.risk_load import (
    ALL_ON,
    BOOK,
    DAYS,
    INSTRUMENTS,
    MONDAY_NS,
    POSITIONS,
    RESTING,
    Desk,
    Market,
    guardian,
    scenarios,
    without_measures,
)
from common.messages.base import Message
from common.messages.control import InstrumentsDefined
from common.messages.orders import ExecutionStep, OrderApproved, OrderDenied
from common.model.enums import TradingState
from common.model.time import NS_PER_DAY, NS_PER_MINUTE, Timeframe
from common.runtime.service import settle_heap
from risk_guardian.core import RiskGuardian

WARM_UP: Final = 300
LEVELS: Final = {"p50": 50.0, "p99": 99.0, "p99_9": 99.9}
KINDS: Final = ("approved", "cut", "denied")


class Cost(NamedTuple):
    """Nanoseconds by the clock on the wall, and of this thread's own computing."""

    wall: int
    cpu: int


class Run(NamedTuple):
    """Costs of every step measured: of its decision, and of all that the guardian is told in it."""

    decisions: list[Cost]
    steps: list[Cost]
    verdicts: list[str]
    said: list[Message]


def risk(steps: int) -> dict[str, Any]:
    """Microseconds, p50, p99 and p99.9, of a decision and of a whole step with the measures of the book, and of both floors."""
    full = drive(guardian(ALL_ON, scenarios()), steps)
    table = drive(guardian(without_measures(ALL_ON), {}), steps)
    decision = quantiles([each.cpu for each in full.decisions])
    floor = quantiles([each.cpu for each in bare_kernel(steps)])
    table_cpu = quantiles([each.cpu for each in table.decisions])
    wall = quantiles([each.wall for each in full.decisions])
    return {
        "positions": POSITIONS,
        "days": DAYS,
        "resting_orders": RESTING,
        "decisions": len(full.decisions),
        "verdicts": dict(sorted(Counter(full.verdicts).items())),
        "decision_us": wall,
        "decision_cpu_us": decision,
        "decision_cpu_p99_us_of": {kind: _p99_of(full, kind) for kind in KINDS},
        "step_us": quantiles([each.wall for each in full.steps]),
        "step_cpu_us": quantiles([each.cpu for each in full.steps]),
        "table_only_cpu_us": table_cpu,
        "bare_kernel_cpu_us": floor,
        "ratio_p50_to_kernel": round(decision["p50"] / floor["p50"], 1),
        "ratio_p50_to_table": round(decision["p50"] / table_cpu["p50"], 2),
        "p99_within_1_ms": wall["p99"] <= 1000.0,
    }


def _p99_of(run: Run, kind: str) -> float:
    costs = [each.cpu for each, verdict in zip(run.decisions, run.verdicts, strict=True) if verdict.startswith(kind)]
    return quantiles(costs)["p99"]


def quantiles(times_ns: list[int]) -> dict[str, float]:
    """In microseconds."""
    return {name: round(float(np.percentile(times_ns, level)) / 1000, 1) for name, level in LEVELS.items()}


# --- measuring ----------------------------------------------------------------------------------------------------------


def drive(core: RiskGuardian, decisions: int) -> Run:
    """History, positions, then a decision a minute; the first `WARM_UP` do not count."""
    market = Market()
    desk = Desk(core, market)
    timeframes = (Timeframe.M1,) * POSITIONS
    core.handle(
        InstrumentsDefined(
            ts_event=0, book=BOOK, account_currency="USD", instruments=INSTRUMENTS, base_timeframes=timeframes
        )
    )
    for day in range(DAYS + 1):
        core.handle(market.slice(MONDAY_NS + (day - DAYS) * NS_PER_DAY, day + 1, Timeframe.D1))
    for fill in desk.stock(MONDAY_NS):
        core.handle(fill)
    settle_heap()  # as a service does when it has caught up
    run = Run([], [], [], [])
    for minute in range(1, WARM_UP + decisions + 1):
        _step(core, market, desk, run, minute)
        if minute == WARM_UP:
            run = Run([], [], [], [])
    if core.state.trading is not TradingState.ACTIVE:
        raise AssertionError(f"the guardian stopped trading: {core.state.trading}")
    return run


def _step(core: RiskGuardian, market: Market, desk: Desk, run: Run, minute: int) -> None:
    ts, step = MONDAY_NS + minute * NS_PER_MINUTE, DAYS + 1 + minute
    first = (market.slice(ts, step, Timeframe.M1), *desk.after_the_last_step(ts))
    seen = [
        _timed(core, message, run.said)
        for message in (*first, ExecutionStep(ts_event=ts, book=BOOK, step=step, cash={}))
    ]
    proposal, before = desk.propose(ts, step), len(run.said)
    decision = _timed(core, proposal, run.said)
    run.decisions.append(decision)
    run.steps.append(
        Cost(decision.wall + sum(each.wall for each in seen), decision.cpu + sum(each.cpu for each in seen))
    )
    for said in run.said[before:]:
        desk.hear(said)
        if verdict := _verdict(said):
            run.verdicts.append(verdict)


def _timed(core: RiskGuardian, message: Message, said: list[Message]) -> Cost:
    wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
    answer = core.handle(message)
    cost = Cost(time.perf_counter_ns() - wall, time.thread_time_ns() - cpu)
    said.extend(each for each in answer if isinstance(each, Message))
    return cost


def _verdict(said: Message) -> str:
    match said:
        case OrderApproved(resized_from=None):
            return "approved"
        case OrderApproved():
            return f"cut by {said.rule.rpartition('; ')[2].partition(':')[0]}"
        case OrderDenied():
            return f"denied by {said.code}"
    return ""


def bare_kernel(times: int) -> list[Cost]:
    """Historical VaR of a book whose returns are known, with one order more: one vector added, one partition."""
    rng = np.random.default_rng(7)
    book, rows = rng.standard_normal(DAYS) * 0.01, rng.standard_normal((POSITIONS, DAYS)) * 0.01
    last = DAYS // 20 - 1

    def once(number: int) -> float:
        return -float(np.partition(book + 0.05 * rows[number % POSITIONS], last)[last])

    return [_clocked(once, number) for number in range(times)]


def _clocked(call: Callable[[int], float], number: int) -> Cost:
    wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
    call(number)
    return Cost(time.perf_counter_ns() - wall, time.thread_time_ns() - cpu)
