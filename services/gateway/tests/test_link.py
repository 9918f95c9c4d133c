"""The gateway's end of the tape, over a broker that comes and goes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from common import messages as m
from common.messages.base import Envelope, Message
from common.runtime.environment import Environment
from common.runtime.login import new_seed
from common.runtime.memory_tape import MemoryLog, MemoryTape
from common.runtime.service import Process
from common.runtime.subjects import subject
from common.testing.builders import a, envelope
from gateway.link import Link

pytestmark = pytest.mark.req("GTW-02")


class Desk:
    """A link and what it heard."""

    def __init__(self, home: Path) -> None:
        (home / "seed").write_text(new_seed())
        (home / "config.json").write_text("{}")
        self.heard: list[int] = []
        environment = Environment(
            home=home,
            service="gateway",
            nats_url="nats://127.0.0.1:1",
            nats_user="gateway",
            nats_seed_file=home / "seed",
            http_port=1,
            config=home / "config.json",
        )
        self._link = Link(Process(environment), self._hear)

    def _hear(self, seq: int, sealed: Envelope, message: Message) -> None:
        self.heard.append(seq)

    async def life(self, log: MemoryLog, *said: Message) -> None:
        """Connected while these are said; then the connection breaks."""
        tape = MemoryTape(log)
        await self._link._begin(tape)
        await say(log, *said)
        await asyncio.sleep(0.05)
        await tape.close()


async def say(log: MemoryLog, *said: Message) -> None:
    tape = MemoryTape(log)
    for one in said:
        await tape.append(subject(one), envelope(one, id=f"{one.TYPE}:{len(log.entries)}"))


async def test_what_was_said_while_the_link_was_broken_is_heard_when_it_is_back(tmp_path: Path) -> None:
    desk, log, halt = Desk(tmp_path), MemoryLog(), a(m.TradingStateChanged)
    await say(log, a(m.RunStarted), halt)
    await desk.life(log, halt, halt)
    assert desk.heard == [3, 4]  # nothing of before it was up first
    await say(log, halt, a(m.MarketSlice), halt)
    await desk.life(log, halt)
    assert desk.heard == [3, 4, 5, 6, 7, 8]
    await desk.life(log, halt)
    assert desk.heard[-1] == 9


async def test_of_a_tape_that_began_anew_nothing_old_is_heard(tmp_path: Path) -> None:
    desk, log, halt = Desk(tmp_path), MemoryLog(), a(m.TradingStateChanged)
    await desk.life(log, halt, halt, halt)
    anew = MemoryLog()
    await say(anew, a(m.RunStarted), halt)
    await desk.life(anew, halt)
    assert desk.heard == [1, 2, 3, 3]
