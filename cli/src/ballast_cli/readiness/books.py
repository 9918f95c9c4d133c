"""Reconciliation: our book against the venue's, and where the venue is our own, against the fills and what is recorded of them."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from decimal import Decimal
from typing import Any, Final

import asyncpg

from ballast_cli.readiness.evidence import Evidence
from ballast_cli.readiness.system import Said, System
from common import messages as m
from common.model.time import NS_PER_SECOND
from execution.venue_settings import PAPER

MISSED: Final = 3  # comparisons that may be late before it is a failure
RECORDED_WITHIN_S: Final = 10.0
_POSITION: Final = "SELECT COALESCE(max(seq), 0) FROM recorder_position"
_POLL_S: Final = 0.1


def reconciliation(system: System) -> Evidence:
    settings = system.config.get("execution", {})
    return _on_paper(system) if settings.get("venue", PAPER) == PAPER else _with_venue(system, settings)


def _with_venue(system: System, settings: dict[str, Any]) -> Evidence:
    """The newest comparison: how old it is in data time, and the breaks that stand."""
    every_s = float(settings.get("reconciliation", {}).get("every_s", 60.0))
    done, newest = system.newest(m.Reconciled), system.newest(m.MarketSlice)
    did, limit = (
        f"looked for the newest comparison with {settings['venue']}",
        f"no open break, {MISSED * every_s:g} s old",
    )
    if done is None or newest is None:
        return Evidence(passed=False, did=did, saw="no comparison yet", limit=limit)
    age_s = max(newest.ts_event - done.ts_event, 0) / NS_PER_SECOND
    return Evidence(
        passed=done.open_breaks == 0 and age_s <= MISSED * every_s,
        did=did,
        saw=f"comparison {done.number}, {age_s:,.0f} s before the newest slice, {done.open_breaks} open breaks",
        limit=limit,
    )


def _on_paper(system: System) -> Evidence:
    steps, fills = system.said(m.ExecutionStep)[-1:], system.said(m.OrderFilled)
    wrong = _differences(steps[0], fills) if steps else ["execution has not said its positions"]
    missing = asyncio.run(_unrecorded(system.endpoints.postgres_dsn_with_password(), [each.seq for each in fills]))
    wrong += [f"{len(missing)} fills are not in PostgreSQL, the first at {missing[0]}"] if missing else []
    held = len(steps[0].message.positions) if steps and isinstance(steps[0].message, m.ExecutionStep) else 0
    return Evidence(
        passed=not wrong,
        did="added up all fills on the tape and compared them with execution's positions and with PostgreSQL (the venue is ours)",
        saw="; ".join(wrong) or f"{len(fills)} fills, {held} positions agree",
        limit="no difference",
    )


def _differences(step: Said, fills: list[Said]) -> list[str]:
    """Positions as of the step against the fills before it."""
    assert isinstance(step.message, m.ExecutionStep)
    added: dict[str, Decimal] = defaultdict(Decimal)
    for each in fills:
        if each.seq < step.seq and isinstance(each.message, m.OrderFilled):
            added[each.message.instrument_id] += each.message.side.sign * each.message.last_qty
    held = {position.instrument_id: position.signed_qty for position in step.message.positions}
    names = dict.fromkeys([*added, *held])
    return [
        f"{name}: fills add up to {added[name]:f}, execution holds {held.get(name, Decimal(0)):f}"
        for name in names
        if added[name] != held.get(name, Decimal(0))
    ]


async def _unrecorded(dsn: str, fills: list[int]) -> list[int]:
    """Sequences of fills that PostgreSQL has not, once the recorder is past them or does not get there."""
    connection = await asyncpg.connect(dsn)
    late = time.monotonic() + RECORDED_WITHIN_S
    try:
        while fills and await connection.fetchval(_POSITION) < fills[-1] and time.monotonic() < late:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)  # no event tells how far the recorder is
        there = {row["seq"] for row in await connection.fetch("SELECT seq FROM fills")}
    finally:
        await connection.close()
    return [seq for seq in fills if seq not in there]
