"""Exactly once: a core killed at any instruction neither loses nor doubles what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import numpy as np
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from common.core import Effect
from common.errors import TapeError
from common.messages import Message, RegimeStep
from common.messages.control import ServiceStarted
from common.messages.market_data import MarketSlice
from common.messages.risk import HaltTrading
from common.runtime import snapshots
from common.runtime.codec import decode, decode_envelope
from common.runtime.introduction import THIS_PROCESS, Speaker
from common.runtime.memory_tape import MemoryLog, MemoryTape
from common.runtime.session import Outside, Session, envelope
from common.runtime.subjects import subject
from common.runtime.tape import Handler


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
            if not self.broken.done():
                self.broken.set_result(Killed())
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
    with suppress(Killed):  # while it introduces itself
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


class AskState(msgspec.Struct):
    heard: int = 0
    open: list[int] = []


class Done(Effect, frozen=True, kw_only=True):
    step: int


class Asker(Echo):
    """An echo that also asks for something outside at every slice, and remembers what is unanswered."""

    def __init__(self) -> None:
        self.state = AskState()

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        if isinstance(message, HaltTrading):  # stands for the answer
            self.state.open.remove(int(message.reason))
            return ()
        if not isinstance(message, MarketSlice):
            return ()
        self.state.heard += 1
        self.state.open.append(message.step)
        said = RegimeStep(ts_event=message.ts_event, book="fx", step=self.state.heard)
        return [Done(step=message.step), *[said] * (message.step % 3)]

    def pending(self) -> Sequence[Effect]:
        return [Done(step=step) for step in self.state.open]


@pytest.mark.req("PLT-12", "PLT-02")
@given(survive=st.integers(0, 20), store_last=st.booleans(), before=st.integers(0, 8), after=st.integers(0, 8))
def test_a_standby_says_exactly_what_its_dead_leader_did_not_say(
    survive: int, store_last: bool, before: int, after: int
) -> None:
    async def scenario() -> list[int]:
        log = MemoryLog()
        await publish(log, before)
        leader_tape, standby_tape = FragileTape(log, survive, store_last=store_last), MemoryTape(log)
        leader = Session("regime", Echo(), leader_tape, mark="m")
        standby = Session("regime", Echo(), standby_tape, mark="m", standby=True)
        with suppress(Killed):
            await leader.lead()
        await standby.start()
        await publish(log, before + after)
        while not leader_tape.broken.done() and leader.seq < _newest_slice(log):  # noqa: ASYNC110 (no event tells)
            await asyncio.sleep(0)
        await leader_tape.close()
        said_before = said(log)
        await standby.follow()
        await _read_all(standby, log)
        assert said(log) == said_before  # a standby is silent
        await standby.lead()
        await publish(log, before + after + 2)
        await _read_all(standby, log)
        await standby_tape.close()
        return said(log)

    total = before + after + 2
    assert asyncio.run(scenario()) == [step for step in range(1, total + 1) for _ in range(step % 3)]


async def _read_all(session: Session, log: MemoryLog) -> None:
    for _ in range(1000):
        if session.seq >= _newest_slice(log):
            return
        await asyncio.sleep(0)
    raise AssertionError("not read")


def _newest_slice(log: MemoryLog) -> int:
    return max((n for n, entry in enumerate(log.entries, 1) if entry.subject.startswith(MarketSlice.TYPE)), default=0)


@pytest.mark.req("PLT-12")
async def test_a_standby_runs_no_effect_until_it_leads_and_then_those_that_are_unanswered() -> None:
    log, ran = MemoryLog(), []

    async def effects(effect: Effect) -> Outside:
        assert isinstance(effect, Done)
        ran.append(effect.step)
        halt = HaltTrading(ts_event=1, book="fx", author="test", reason=str(effect.step))
        return Outside(str(effect.step), halt)

    tape = MemoryTape(log)
    session = Session("regime", Asker(), tape, mark="m", effects=effects, standby=True)
    await publish(log, 3)
    await session.start()
    await _read_all(session, log)
    assert (ran, session.token()) == ([], None)
    await session.lead()
    await asyncio.sleep(0.01)
    assert (ran, session.token()) == ([1, 2, 3], 0)
    await tape.close()


class Miscounting(MemoryTape):
    """As a server whose count of what a consumer has before it is one too high."""

    async def read(self, patterns: Sequence[str], from_seq: int, handler: Handler) -> int:
        return 1 + await super().read(patterns, from_seq, handler)


@pytest.mark.req("PLT-02")
async def test_who_has_read_to_the_end_has_caught_up_whatever_was_counted() -> None:
    log = MemoryLog()
    await publish(log, 3)
    tape = Miscounting(log)
    session = Session("regime", Echo(), tape, mark="m")
    await session.start()
    await _read_all(session, log)
    assert not session.recovering
    await tape.close()


@pytest.mark.req("PLT-12")
async def test_only_who_leads_leaves_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.runtime.session.SNAPSHOT_EVERY_S", 0)
    log = MemoryLog()
    tape = MemoryTape(log)
    session = Session("regime", Echo(), tape, mark="m", standby=True)
    await session.start()
    await publish(log, 3)
    await _read_all(session, log)
    await session.stop()
    assert log.snapshots == {}
    await session.lead()
    await session.stop()
    assert set(log.snapshots) == {"regime"}
    await tape.close()


def introductions(log: MemoryLog) -> list[tuple[int, ServiceStarted]]:
    """With their place on the tape."""
    read = ((seq, decode(decode_envelope(entry.payload))) for seq, entry in enumerate(log.entries, start=1))
    return [(seq, message) for seq, message in read if isinstance(message, ServiceStarted)]


@pytest.mark.req("PLT-02", "PLT-12")
async def test_every_life_says_what_it_is_before_anything_else_and_a_standby_when_it_leads() -> None:
    log = MemoryLog()
    await publish(log, 1)
    first, second = MemoryTape(log), MemoryTape(log)
    leader = Session("regime", Echo(), first, mark="m")
    standby = Session("regime", Echo(), second, mark="m", standby=True, speaker=Speaker("2", build="other"))
    await leader.lead()
    await standby.start()
    await _read_all(leader, log)
    assert [message.instance for _, message in introductions(log)] == ["1"]
    await first.close()
    await publish(log, 4)
    await _read_all(standby, log)
    await standby.lead()
    (one, began), (two, took_over) = introductions(log)
    spoke = [seq for seq, entry in enumerate(log.entries, start=1) if entry.subject.startswith(RegimeStep.TYPE)]
    assert [one < seq for seq in spoke] == [True] * 4
    assert [two < seq for seq in spoke] == [False] + [True] * 3
    assert (began.service, began.build, began.contracts) == ("regime", THIS_PROCESS.build, THIS_PROCESS.contracts)
    assert (took_over.instance, took_over.build) == ("2", "other")
    await second.close()


@pytest.mark.req("PLT-02")
async def test_who_starts_beside_other_code_says_so_in_its_log() -> None:
    log = MemoryLog()
    tape = MemoryTape(log)
    with structlog.testing.capture_logs() as logs:
        await Session("regime", Echo(), tape, mark="m", speaker=Speaker(contracts="other")).start()
        assert logs == []
        await Session("signals", Echo(), tape, mark="m").start()
    (warning,) = logs
    assert (warning["log_level"], warning["other"]) == ("warning", "regime")
    assert "other" in warning["theirs"]
    assert THIS_PROCESS.contracts in warning["ours"]
    await tape.close()


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


@pytest.mark.req("PLT-04")
async def test_who_is_killed_every_few_seconds_does_not_begin_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.runtime.session.SNAPSHOT_EVERY", 10)
    log = MemoryLog()
    await publish(log, 25)
    tape = MemoryTape(log)
    await Session("regime", Echo(), tape, mark="m").start()
    await asyncio.sleep(0.05)
    assert snapshots.restore(Echo(), log.snapshots.get("regime"), "m") == 25, "as soon as it has caught up"
    for step in range(26, 50):
        message = MarketSlice(ts_event=step, book="fx", step=step)
        await tape.append(subject(message), envelope("market_data", message, f"more:{step}", cause=None))
        await asyncio.sleep(0.001)
    read = snapshots.restore(Echo(), log.snapshots.get("regime"), "m")
    assert len(log.entries) - read < 2 * 10 + 5, "and then every ten messages"
    await tape.close()


@pytest.mark.req("PLT-02")
async def test_on_a_tape_that_has_lost_its_end_nobody_goes_on() -> None:
    log = MemoryLog()
    await publish(log, 4)
    await live_until_killed(log, 100, store_last=True, snapshot=True)
    del log.entries[2:]
    tape = MemoryTape(log)
    with pytest.raises(TapeError, match=r"ends at 2, but regime has read up to 4"):
        await Session("regime", Echo(), tape, mark="m").start()
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
