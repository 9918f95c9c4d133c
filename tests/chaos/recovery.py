"""Target 8: with a long tape, every service is ready again soon after kill -9; and Redis is rebuilt when it has forgotten all.
Target 11: a graceful stop is quick, and stopping and starting every service in turn under load loses nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from nats.aio.client import Client
from tests.chaos.books import compare
from tests.chaos.plant import SERVERS, Plant
from tests.chaos.trader import Trader, wander
from tests.chaos.voices import Said, until

from common.contracts import LEASED
from common.messages import ExecutionStep
from common.runtime import redis, subjects
from common.runtime.nats_config import ADMIN

_CHUNK: Final = 250


def services(plant: Plant) -> list[str]:
    """Those of ours, in the order of their start."""
    return [name for name in plant.runners if name not in (*SERVERS, "venue")]


async def recover(plant: Plant, *, events: int) -> dict[str, Any]:
    """Slices fill the tape up to `events`; what was traded on it before is there already."""
    await _fill_up(plant, events)
    seq = plant.witness.said[-1].seq
    with_snapshots = await _kill_each(plant, services(plant))
    return {
        "events": seq,
        "ready_s": with_snapshots,
        "ready_without_snapshot_s": await _kill_each(plant, LEASED, forget=True),
        "redis_rebuilt_s": await _wipe_redis(plant),
        "unasked_ends": plant.crashes,
    }


async def roll(plant: Plant, prefix: str = "r") -> dict[str, Any]:
    """Every service stopped and started in turn, while orders come."""
    trader, stopped, ready = Trader(plant, prefix, window=60, pause_s=0.1), {}, {}
    enough = asyncio.Event()
    market, trading = asyncio.create_task(wander(plant)), asyncio.create_task(trader.trade(enough.is_set))
    try:
        for name in services(plant):
            runner = plant.runners[name]
            stopped[name] = round(await runner.stop(), 2)
            runner.start()
            ready[name] = round(await runner.until_ready(), 2)
            await asyncio.sleep(1)
    finally:
        enough.set()
        await trading
    await trader.settle()
    market.cancel()
    found = await compare(plant)
    return {
        "stopped_s": stopped,
        "ready_s": ready,
        "orders": len(trader.orders.accepted),
        "denied": dict(sorted(trader.orders.denied.items())),
        "lost": found.lost,
        "duplicated": found.duplicated,
        "faults": found.faults,
    }


async def _fill_up(plant: Plant, events: int) -> None:
    answered = 0

    def hear(said: Said) -> None:
        nonlocal answered
        if isinstance(said.message, ExecutionStep):
            answered = said.message.step

    plant.witness.hear.append(hear)
    while plant.witness.said[-1].seq < events:
        await plant.feed.slices(min(_CHUNK, events - plant.witness.said[-1].seq))
        await until(lambda: answered >= plant.feed.step, "execution has answered", 60)


async def _kill_each(plant: Plant, names: Sequence[str], *, forget: bool = False) -> dict[str, float]:
    """Seconds from kill -9 to ready, by service; with `forget` nothing but the tape is left to start from."""
    took = {}
    for name in names:
        runner, began = plant.runners[name], time.monotonic()
        runner.kill()
        if forget:
            await _forget_snapshots(plant)
        await runner.kill_and_start()
        await runner.until_ready()
        took[name] = round(time.monotonic() - began, 2)
    return took


async def _forget_snapshots(plant: Plant) -> None:
    client = Client()
    login = plant.endpoints.login(ADMIN)
    await client.connect(login.url.split(","), **login.options())
    await client.jetstream().purge_stream(f"KV_{subjects.SNAPSHOTS}")
    await client.close()


async def _wipe_redis(plant: Plant) -> float:
    """Seconds until all hashes that were there are there again. Nothing that trades reads Redis."""
    client = redis.client(plant.endpoints.redis_url_with_password())
    try:
        before = sorted(await client.keys(f"{redis.PREFIX}*"))
        assert before, "the recorder has written nothing to Redis"
        began = time.monotonic()
        await client.flushall()
        while sorted(await client.keys(f"{redis.PREFIX}*")) != before:
            assert time.monotonic() - began < 60, "Redis is not rebuilt"
            await asyncio.sleep(0.01)
    finally:
        await client.aclose()
    return round(time.monotonic() - began, 2)
