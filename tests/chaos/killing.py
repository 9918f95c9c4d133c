"""Target 3: orders while every service is killed -9 every few seconds, at a venue that misbehaves."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from random import Random
from typing import Any, Final

from tests.chaos.books import compare
from tests.chaos.plant import Plant
from tests.chaos.trader import Trader, wander

SERVICES: Final = ("risk_guardian", "execution", "recorder")
TELL_EVERY_S: Final = 10.0
LONGEST_DISTANCE_S: Final = 0.5
SERVERS: Final = ("nats", "postgres", "redis")


async def drill(plant: Plant, *, orders: int, every_s: float, misbehave: float) -> dict[str, Any]:
    """Each service dies every `every_s`, one server every five times that, until `orders` have reached the venue."""
    trader, kills = Trader(plant, "k"), Kills(plant, every_s)
    began = time.monotonic()
    await plant.desk.misbehave(misbehave)
    market, killing = asyncio.create_task(wander(plant)), asyncio.create_task(kills.run())
    telling = asyncio.create_task(_tell(trader, kills, orders))
    try:
        await trader.trade(
            lambda: killing.done() or (len(trader.orders.accepted) >= orders and kills.count >= len(SERVICES))
        )
    finally:
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
    if not killing.cancelled():
        killing.result()
    await plant.until_ready((*SERVERS, *SERVICES))
    await plant.desk.behave()
    await trader.settle()
    market.cancel()
    telling.cancel()
    found = await compare(plant)
    summary, _ = await plant.desk.audit()
    return {
        "orders": len(trader.orders.accepted),
        "proposed": trader.sent,
        "denied": dict(sorted(trader.orders.denied.items())),
        "lost": found.lost,
        "duplicated": found.duplicated,
        "faults": found.faults,
        "kills": kills.count,
        "sends": summary.sends,
        "most_sends_of_one": summary.most_sends,
        "refused_as_duplicate_by_venue": summary.duplicates,
        "fills": len(trader.orders.fills),
        "breaks_closed": len(trader.orders.breaks),
        "unasked_ends": plant.crashes,
        "wall_s": round(time.monotonic() - began, 1),
    }


async def _tell(trader: Trader, kills: Kills, orders: int) -> None:
    while True:
        await asyncio.sleep(TELL_EVERY_S)
        print(f"  {len(trader.orders.accepted)} of {orders} orders, {kills.count} kills", file=sys.stderr, flush=True)


class Kills:
    """In every round each service dies once, in an order and at distances that change, and in every fifth a server as well."""

    def __init__(self, plant: Plant, every_s: float) -> None:
        self.count = 0
        self._plant = plant
        self._every_s = every_s
        self._random = Random(1)

    async def run(self) -> None:
        """For ever."""
        servers = itertools.cycle(SERVERS)
        for number in itertools.count(1):
            round_over = asyncio.create_task(asyncio.sleep(self._every_s))
            victims = [*SERVICES, *([next(servers)] if number % 5 == 0 else [])]
            for victim in self._random.sample(victims, len(victims)):
                await asyncio.sleep(self._random.uniform(0, LONGEST_DISTANCE_S))
                await self._plant.runners[victim].kill_and_start()
                self.count += 1
            await round_over
