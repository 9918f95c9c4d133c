"""What can go wrong, and which alert tells of it: a table."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from tests.support.system import System, ballast, until

from common.messages import HaltScope, LadderChanged, Message
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.testing.builders import a

Deed = Callable[[System], None]


class Fault(NamedTuple):
    """`alert` is at the webhook within `within_s` of `do`; `undo` ends it, and then it is told that it is over. Faults of one
    `config` (TOML over the profile) share a system. A `quick` one is in the ordinary tests.
    """

    name: str
    alert: str
    do: Deed
    undo: Deed | None
    config: str = ""
    within_s: float = 30.0
    quick: bool = False
    did: type[Message] | None = None  # where the fault is in the configuration: it is there when this is said


def signals(name: str, number: signal.Signals) -> Deed:
    """To a process and all that it has started."""

    def send(system: System) -> None:
        pid = system.pid(name)
        assert pid is not None
        for each in (pid, *_descendants(pid)):
            with suppress(ProcessLookupError):
                os.kill(each, number)

    return send


def freeze(name: str) -> Deed:
    return signals(name, signal.SIGSTOP)


def thaw(name: str) -> Deed:
    return signals(name, signal.SIGCONT)


def both(first: Deed, second: Deed) -> Deed:
    def run(system: System) -> None:
        first(system)
        second(system)

    return run


def says(*words: str) -> Deed:
    """A command of `ballast`."""

    def run(system: System) -> None:
        ballast(system.home, *words)

    return run


def poison(system: System) -> None:
    """A command that nobody can understand."""
    asyncio.run(_poison(system.home))


def climb(system: System) -> None:
    """The fault is in the configuration: the guardian sees it at the first loss."""
    until(lambda: bool(system.said(LadderChanged)), "a ladder is climbed")


FROZEN: Final = ("market_data", "regime", "signals", "portfolio", "risk_guardian", "execution", "recorder", "gateway")
TINY_LADDER: Final = '[[risk_guardian.ladders.drawdown]]\ntrigger = 0.00001\nrelease = 0.000001\nstate = "REDUCING"\n'

FAULTS: Final = (
    *(Fault(f"{name} is frozen", "ServiceDown", freeze(name), thaw(name)) for name in FROZEN),
    Fault("the guardian is frozen", "GuardianSilent", freeze("risk_guardian"), thaw("risk_guardian"), quick=True),
    Fault("the portfolio never answers", "StepStalled", freeze("portfolio"), thaw("portfolio")),
    Fault("an operator halts", "TradingHalted", says("halt", "--reason", "drill"), says("resume", "--reason", "drill is over")),
    Fault("PostgreSQL is frozen", "PostgresDown", freeze("postgres"), thaw("postgres"), quick=True),
    Fault("Redis is frozen", "RedisDown", freeze("redis"), thaw("redis")),
    Fault("NATS is frozen", "NatsDown", freeze("nats"), thaw("nats")),
    # Seen by the recorder, NatsDown would be told in its place.
    Fault("NATS is frozen unseen", "ServiceNotReady", both(freeze("recorder"), freeze("nats")), both(thaw("nats"), thaw("recorder"))),
    Fault("a message nobody understands", "DeadLetters", poison, None),
    Fault("the book loses a little", "RiskLadderUp", climb, None, config=TINY_LADDER, did=LadderChanged, within_s=90),
    Fault("the book loses a little", "TradingReducing", climb, None, config=TINY_LADDER, did=LadderChanged, within_s=90),
    Fault("the book loses a little", "DrawdownHigh", climb, None, config=TINY_LADDER, did=LadderChanged, within_s=90),
)  # fmt: skip


def _descendants(pid: int) -> Iterator[int]:
    """PostgreSQL's processes are sessions of their own."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                child = int(stat.parent.name)
                yield child
                yield from _descendants(child)


async def _poison(home: Path) -> None:
    tape = await NatsTape.connect(Endpoints.load(home).login("operator"))
    message = a(HaltScope)
    said = msgspec.structs.replace(envelope("operator", message, "drill:poison", cause=None), data=msgspec.Raw(b"{}"))
    await (await tape.append(subject(message), said))
    await tape.close()
