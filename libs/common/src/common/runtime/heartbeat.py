"""Signs of life: every service says four times a second, off the tape, that it is there, how far it is and what it lacks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import msgspec

from common.runtime import metrics
from common.runtime.http import Health
from common.runtime.tape import Tape

EVERY_S: Final = 0.25
SILENT_AFTER_S: Final = 2.0


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """`ts` is the sender's clock, nanoseconds UTC. `seq` is the tape sequence of the last message it handled."""

    service: str
    ts: int
    seq: int
    ready: bool
    waits_for: dict[str, str]


async def beat(tape: Tape, health: Health, seq: int) -> None:
    """One sign of life. Raises TapeError."""
    health.tick()
    health.info["seq"] = seq
    alive = Heartbeat(
        service=health.service, ts=time.time_ns(), seq=seq, ready=not health.waits_for, waits_for=health.waits_for
    )
    await tape.beat(health.service, msgspec.json.encode(alive))


async def keep_beating(tape: Tape, health: Health, seq: Callable[[], int]) -> None:
    """For ever, from the event loop that it vouches for. Raises TapeError."""
    while True:
        await beat(tape, health, seq())
        due = time.monotonic() + EVERY_S
        await asyncio.sleep(EVERY_S)
        metrics.LOOP_LAG.observe(max(time.monotonic() - due, 0.0))
