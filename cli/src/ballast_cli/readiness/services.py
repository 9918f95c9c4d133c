"""Whether everybody is there, is the same code, and hears of the market."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from nats.aio.client import Client

from ballast_cli.readiness.evidence import Evidence, seconds
from ballast_cli.readiness.system import System, until
from common import messages as m
from common.contracts import DECIDING, own_pattern
from common.model.time import NS_PER_SECOND
from common.runtime import subjects
from common.runtime.codec import decode, decode_envelope
from common.runtime.nats_config import once
from common.runtime.nats_tape import NatsTape
from common.version import BUILD, CONTRACTS

EXPECTED: Final = (*DECIDING, "recorder", "gateway")
HEALTHY_WITHIN_S: Final = 5.0
MARKET_WITHIN_S: Final = 10.0


def healthy(system: System) -> Evidence:
    """Every service answers that it is ready, and every leased one has a leader."""
    missing = [name for name in EXPECTED if name not in system.services()]
    took = None if missing else until(lambda: not _unready(system) and system.all_lead(), HEALTHY_WITHIN_S)
    unready = [] if took is not None else missing or _unready(system) or ["nobody leads"]
    return Evidence(
        passed=took is not None,
        did=f"asked /health/ready of {len(system.services())} processes",
        saw="all are ready" if took is not None else f"not ready: {', '.join(unready)}",
        limit=f"all of {len(EXPECTED)} services within {HEALTHY_WITHIN_S:g} s",
    )


def one_build(system: System) -> Evidence:
    """Every deciding service, by what it said of itself on the tape, and every process, by its /info."""
    others = [f"{name} runs build {build}" for name, build in _builds(system) if build != BUILD]
    others += system.ask(_strangers)
    return Evidence(
        passed=not others,
        did="compared what every process says in /info, and every deciding service said on the tape when it started",
        saw="; ".join(others) or f"all are build {BUILD} with contracts {CONTRACTS}, as is this command",
        limit="one build, one set of contracts",
    )


def market_moves(system: System) -> Evidence:
    """A new slice, or where bars are longer than one would wait, a newest one that is not stale by the wall clock."""
    newest = system.newest(m.MarketSlice)
    before = newest.step if newest else 0
    took = until(lambda: _step(system) > before, MARKET_WITHIN_S)
    did = f"waited for a market slice after step {before}"
    limit = f"a new slice within {MARKET_WITHIN_S:g} s, or a newest one that is not stale"
    if took is not None:
        return Evidence(passed=True, did=did, saw=f"step {_step(system)} after {seconds(took)}", limit=limit)
    if system.newest(m.MarketDataEnded) is not None:
        return Evidence(passed=False, did=did, saw=f"the data is over since step {before}", limit=limit)
    age_s = (time.time_ns() - newest.ts_event) / NS_PER_SECOND if newest else None
    fresh = age_s is not None and age_s <= _patience_s(system)
    saw = "no slice at all" if age_s is None else f"none; the newest closed {age_s:,.0f} s ago"
    return Evidence(passed=fresh, did=did, saw=f"{saw}, stale after {_patience_s(system):,.0f} s", limit=limit)


def dead_letters(system: System) -> Evidence:
    """Nothing was set aside because nobody could understand it."""

    async def count(client: Client) -> int:
        return int((await client.jetstream().stream_info(subjects.DEAD_LETTERS)).state.messages)

    found = asyncio.run(once(system.endpoints.login("operator"), count))
    return Evidence(passed=found == 0, did="counted the dead letters", saw=f"{found}", limit="0")


def _unready(system: System) -> list[str]:
    return [name for name in system.services() if not system.ready(name)]


def _builds(system: System) -> list[tuple[str, str]]:
    infos = ((name, system.ask_http(name, "/info")) for name in system.services())
    return [(name, str(info.get("build", "unknown"))) for name, info in infos]


async def _strangers(tape: NatsTape) -> list[str]:
    found = []
    for service in DECIDING:
        record = await tape.last([own_pattern(m.ServiceStarted, service)])
        said = decode(decode_envelope(record.payload)) if record else None
        if not isinstance(said, m.ServiceStarted):
            found.append(f"{service} has not said what it is")
        elif (said.build, said.contracts) != (BUILD, CONTRACTS):
            found.append(f"{service} said it is build {said.build} with contracts {said.contracts}")
    return found


def _step(system: System) -> int:
    newest = system.newest(m.MarketSlice)
    return newest.step if newest else 0


def _patience_s(system: System) -> float:
    """When the guardian takes the price of the longest base bar for stale."""
    defined = system.newest(m.InstrumentsDefined)
    longest = max((each.ns for each in defined.base_timeframes), default=0) if defined else 0
    bars = float(system.config.get("risk_guardian", {}).get("limits", {}).get("stale_after_bars", 4.0))
    return bars * longest / NS_PER_SECOND
