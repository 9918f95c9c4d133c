"""The guardian's host can stop trading with a file, whatever else is down."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from common.core import Effect
from common.messages import HaltTrading, LeaseTaken, Message, RunStarted
from common.model.account import Account
from common.runtime import environment
from common.runtime.codec import decode, decode_envelope
from common.runtime.emergency import STOP_FILE, ask_to_stop
from common.runtime.memory_tape import MemoryLog, MemoryTape
from common.runtime.session import Session, envelope
from common.runtime.subjects import subject
from common.testing.builders import a
from risk_guardian.gauges import Gauges
from risk_guardian.settings import Settings
from risk_guardian.shell import GuardianShell, obey_signals

pytestmark = pytest.mark.req("RSK-09")


class Silent:
    """A core that listens."""

    def __init__(self) -> None:
        self.state = msgspec.defstruct("Nothing", [])()

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        return ()

    def pending(self) -> Sequence[Effect]:
        return ()


@asynccontextmanager
async def watching(home: Path, log: MemoryLog, *, standby: bool = False) -> AsyncIterator[MemoryTape]:
    tape = MemoryTape(log)
    session = Session("risk_guardian", Silent(), tape, mark="m", run_id="run", standby=standby)
    shell = GuardianShell(home, Gauges(Settings(), Account()))
    await shell.stand_by(session, tape)
    try:
        yield tape
    finally:
        await shell.stop()
        await tape.close()


async def begin_run(log: MemoryLog) -> None:
    run = a(RunStarted, book="fx")
    await MemoryTape(log).append(subject(run), envelope("market_data", run, "run", cause=None))


def halts(log: MemoryLog) -> list[HaltTrading]:
    messages = [decode(decode_envelope(entry.payload)) for entry in log.entries]
    return [message for message in messages if isinstance(message, HaltTrading)]


def files(home: Path) -> list[str]:
    return [path.name for path in home.iterdir()]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 (no event tells)
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("flatten", [False, True])
async def test_a_file_becomes_a_halt_on_the_tape_and_is_put_aside(tmp_path: Path, flatten: bool) -> None:
    log = MemoryLog()
    await begin_run(log)
    async with watching(tmp_path, log):
        ask_to_stop(tmp_path, "fat finger", flatten=flatten)
        await until(lambda: not (tmp_path / STOP_FILE).exists())
    (halt,) = halts(log)
    assert (halt.book, halt.reason, halt.flatten, halt.author) == ("fx", "fat finger", flatten, "guardian's host")
    assert [name.partition("-")[0] for name in files(tmp_path)] == [f"{STOP_FILE}.done"]


async def test_a_file_that_was_there_before_waits_for_the_first_run(tmp_path: Path) -> None:
    log = MemoryLog()
    ask_to_stop(tmp_path, "early", flatten=False)
    async with watching(tmp_path, log):
        await asyncio.sleep(0.1)
        assert (tmp_path / STOP_FILE).exists()
        await begin_run(log)
        await until(lambda: bool(halts(log)))


async def test_a_leader_and_its_standby_who_both_see_the_file_halt_once(tmp_path: Path) -> None:
    log = MemoryLog()
    await begin_run(log)
    async with watching(tmp_path, log), watching(tmp_path, log, standby=True):
        ask_to_stop(tmp_path, "drill", flatten=False)
        await until(lambda: not (tmp_path / STOP_FILE).exists())
        await asyncio.sleep(0.05)
    assert len(halts(log)) == 1


async def test_a_file_that_nobody_can_read_or_put_aside_is_one_halt_all_the_same(tmp_path: Path) -> None:
    log = MemoryLog()
    await begin_run(log)
    (tmp_path / STOP_FILE).mkdir()
    (tmp_path / f"{STOP_FILE}.done-0").write_text("in the way of the rename")
    async with watching(tmp_path, log):
        await until(lambda: bool(halts(log)))
        await asyncio.sleep(0.1)
    assert [halt.reason for halt in halts(log)] == ["file STOP"]


async def test_a_file_stays_while_the_tape_refuses_the_halt(tmp_path: Path) -> None:
    log, held = MemoryLog(), True
    await begin_run(log)
    async with watching(tmp_path, log) as tape:
        lease = subject(a(LeaseTaken, service="risk_guardian"))
        await tape.claim(lease, envelope("risk_guardian", a(LeaseTaken), "l", cause=None), 0, lambda: held)
        held = False
        ask_to_stop(tmp_path, "drill", flatten=False)
        await asyncio.wait_for(asyncio.shield(tape.broken), 5)
    assert (tmp_path / STOP_FILE).exists()
    async with watching(tmp_path, log):
        await until(lambda: bool(halts(log)))


@pytest.mark.parametrize(("number", "first_line"), [(signal.SIGUSR1, "HALT"), (signal.SIGUSR2, "FLATTEN")])
def test_a_signal_writes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, first_line: str
) -> None:
    monkeypatch.setenv(environment.HOME, str(tmp_path))
    former = [(name, signal.getsignal(name)) for name in (signal.SIGUSR1, signal.SIGUSR2)]
    try:
        obey_signals()
        os.kill(os.getpid(), number)
        assert (tmp_path / STOP_FILE).read_text() == f"{first_line}\nsignal {number.name}\n"
    finally:
        for name, handler in former:
            signal.signal(name, handler)
