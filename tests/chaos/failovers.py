"""Target 7: the leader of guardian or execution is killed or frozen, its standby takes over, and never do two speak."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import Sequence
from typing import Any, Final

import httpx
from tests.chaos.books import compare
from tests.chaos.figures import percentiles
from tests.chaos.plant import Plant
from tests.chaos.trader import Trader, wander
from tests.chaos.voices import Said

from common.contracts import FROM_OUTSIDE, LEASED
from common.messages import LeaseTaken
from execution.reference_venue.audit import Entry

STANDBY: Final = "-2"
TAKEOVER_WITHIN_S: Final = 30.0
BETWEEN_S: Final = 0.5


class Pairs:
    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    async def fail(self, service: str, how: signal.Signals) -> float:
        """Seconds from the death of the leader until the other one leads; the victim then comes back, as standby."""
        leader = await self.leader(service)
        other = next(name for name in self.names(service) if name != leader)
        victim, began = self._plant.runners[leader], time.monotonic()
        victim.wanted = False
        victim.send(how)
        await self._until_role(other, "leader")
        took = time.monotonic() - began
        if how is signal.SIGSTOP:
            victim.send(signal.SIGCONT)
            victim.wanted = True
        else:
            await victim.kill_and_start()
        await self._until_role(leader, "standby")
        return took

    async def leader(self, service: str) -> str:
        end = time.monotonic() + TAKEOVER_WITHIN_S
        while True:
            for name in self.names(service):
                if (await self._plant.runners[name].health()).get("role") == "leader":
                    return name
            assert time.monotonic() < end, f"nobody leads {service}"
            await asyncio.sleep(0.02)

    def names(self, service: str) -> tuple[str, str]:
        return service, f"{service}{STANDBY}"

    async def _until_role(self, name: str, role: str) -> None:
        end = time.monotonic() + TAKEOVER_WITHIN_S
        while (found := await self._plant.runners[name].health()).get("role") != role or not found["ready"]:
            assert time.monotonic() < end, f"{name} is not {role}, but {found}"
            await asyncio.sleep(0.01)


async def drill(plant: Plant, *, failovers: int) -> dict[str, Any]:
    """The plant must have standbys."""
    pairs, trader = Pairs(plant), Trader(plant, "f", window=60, pause_s=0.2)
    took: dict[signal.Signals, list[float]] = {signal.SIGKILL: [], signal.SIGSTOP: []}
    enough = asyncio.Event()
    market, trading = asyncio.create_task(wander(plant)), asyncio.create_task(trader.trade(enough.is_set))
    try:
        turns = itertools.islice(itertools.cycle(itertools.product(took, LEASED)), failovers)
        for how, service in turns:
            took[how].append(await pairs.fail(service, how))
            await asyncio.sleep(BETWEEN_S)
    finally:
        enough.set()
        await trading
    await trader.settle()
    market.cancel()
    found = await compare(plant)
    summary, entries = await plant.desk.audit()
    refused = await plant.desk.send_with(summary.highest_token - 1)
    everything = [seconds for times in took.values() for seconds in times]
    return {
        "failovers": len(everything),
        "takeover_s": percentiles(everything),
        "takeover_s_killed": percentiles(took[signal.SIGKILL]),
        "takeover_s_frozen": percentiles(took[signal.SIGSTOP]),
        "two_speakers": len(two_speakers(plant.witness.said)),
        "stale_tokens_acted_on": stale_acted_on(entries),
        "stale_tokens_refused": summary.stale_tokens,
        "an_older_token_is_refused": refused == httpx.codes.FORBIDDEN,
        "orders": len(trader.orders.accepted),
        "lost": found.lost,
        "duplicated": found.duplicated,
        "faults": found.faults,
        "unasked_ends": plant.crashes,
    }


def two_speakers(tape: Sequence[Said]) -> list[int]:
    """Sequences at which a service said what it had said before, or something older, or took its lease with an old token. One
    speaker at a time says its answers in the order of their causes, each once.
    """
    newest: dict[str, tuple[int, int]] = {}
    tokens: dict[str, int] = {}
    found = []
    for said in tape:
        if isinstance(said.message, LeaseTaken):
            if said.message.token <= tokens.get(said.message.service, 0):
                found.append(said.seq)
            tokens[said.message.service] = said.message.token
        elif said.source in LEASED and not isinstance(said.message, FROM_OUTSIDE):
            if said.cause <= newest.get(said.source, (-1, -1)):
                found.append(said.seq)
            newest[said.source] = max(said.cause, newest.get(said.source, (-1, -1)))
    return found


def stale_acted_on(entries: Sequence[Entry]) -> int:
    """Requests that took effect although a newer holder had spoken at the venue before."""
    highest, found = 0, 0
    for entry in entries:
        found += entry.done and entry.token < highest
        highest = max(highest, entry.token)
    return found
