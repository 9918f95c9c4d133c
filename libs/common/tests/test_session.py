"""Exactly once: a core killed at any instruction neither loses nor doubles what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.core import Effect
from common.messages import Message, RegimeStep
from common.messages.market_data import MarketSlice
from common.runtime import snapshots
from common.runtime.codec import decode, decode_envelope
from common.runtime.memory_tape import MemoryLog, MemoryTape
from common.runtime.session import Session, envelope
from common.runtime.subjects import subject


class State(msgspec.Struct):
    heard: int = 0
    sums: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(2))


class Echo:
    """A core that counts: it answers slice n with regime steps that carry how much it has heard."""

    def __init__(self) -> None:
        self.state = State()

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        if not isinstance(message, MarketSlice):
            return ()
        self.state.heard += 1
        self.state.sums[0] += message.step
        said = RegimeStep(ts_event=message.ts_event, book="fx", step=self.state.heard)
        return [said] * (message.step % 3)

    def pending(self) -> Sequence[Effect]:
        return ()


class Killed(Exception):
    """The process is gone."""


class FragileTape(MemoryTape):
    """Dies at the append it was told to, after or before storing it."""

    def __init__(self, log: MemoryLog, survive: int, *, store_last: bool) -> None:
        super().__init__(log)
        self._left = survive
        self._store_last = store_last

    async def append(self, subject: str, envelope):  # type: ignore[no-untyped-def]
        if self._left == 0:
            if self._store_last:
                await super().append(subject, envelope)
            raise Killed
        self._left -= 1
        return await super().append(subject, envelope)


async def publish(log: MemoryLog, count: int) -> None:
    tape = MemoryTape(log)
    for step in range(1, count + 1):
        message = MarketSlice(ts_event=step, book="fx", step=step)
        await tape.append(subject(message), envelope("market_data", message, f"market_data:{step}:0", cause=None))


async def live_until_killed(log: MemoryLog, survive: int, *, store_last: bool, snapshot: bool) -> None:
    tape = FragileTape(log, survive, store_last=store_last)
    session = Session("regime", Echo(), tape, mark="m")
    await session.start()
    for _ in range(500):
        if tape.broken.done() or not session.recovering:
            break
        await asyncio.sleep(0)
    if snapshot and not tape.broken.done():
        await session.stop()
    await tape.close()


def said(log: MemoryLog) -> list[int]:
    messages = [
        decode(decode_envelope(entry.payload)) for entry in log.entries if entry.subject.startswith(RegimeStep.TYPE)
    ]
    return [message.step for message in messages if isinstance(message, RegimeStep)]


@pytest.mark.req("PLT-02", "PLT-09")
@given(
    deaths=st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.booleans()), max_size=8),
    count=st.integers(1, 15),
)
def test_killed_at_any_append_it_says_everything_once_and_in_order(
    deaths: list[tuple[int, bool, bool]], count: int
) -> None:
    async def scenario() -> list[int]:
        log = MemoryLog()
        await publish(log, count)
        for survive, store_last, snapshot in deaths:
            await live_until_killed(log, survive, store_last=store_last, snapshot=snapshot)
        await live_until_killed(log, 10_000, store_last=False, snapshot=True)
        return said(log)

    assert asyncio.run(scenario()) == [step for step in range(1, count + 1) for _ in range(step % 3)]


async def test_an_unknown_version_is_set_aside_and_the_rest_goes_on() -> None:
    log = MemoryLog()
    tape = MemoryTape(log)
    future = msgspec.structs.replace(
        envelope("market_data", MarketSlice(ts_event=0, book="fx", step=1), "x", cause=None), type="md.slice.v9"
    )
    await tape.append("md.slice.v1.fx", future)
    await publish(log, 2)
    session = Session("regime", Echo(), tape, mark="m")
    await session.start()
    await asyncio.sleep(0.05)
    assert [(service, record.seq) for service, record, _ in log.dead_letters] == [("regime", 1)]
    assert "md.slice.v9" in log.dead_letters[0][2]
    assert said(log) == [1, 2, 2]
    await tape.close()


def test_a_snapshot_restores_arrays_and_numbers_bit_for_bit() -> None:
    core, fresh = Echo(), Echo()
    core.state.heard, core.state.sums = 3, np.array([0.1, np.nan])
    payload = snapshots.encode(core, 42, "m")
    assert snapshots.restore(fresh, payload, "m") == 42
    assert fresh.state.heard == 3
    assert fresh.state.sums.tobytes() == core.state.sums.tobytes()


def test_a_snapshot_of_another_configuration_is_not_used() -> None:
    core, fresh = Echo(), Echo()
    core.state.heard = 3
    assert snapshots.restore(fresh, snapshots.encode(core, 42, "m"), "other") == 0
    assert snapshots.restore(fresh, b"garbage", "m") == 0
    assert fresh.state.heard == 0
