"""How a drill speaks to the tape and hears what is said on it, over any break of the connection."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from common.contracts import ALL, pattern
from common.errors import TapeError
from common.messages.base import Message
from common.runtime.codec import decode, decode_envelope
from common.runtime.login import Login
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.runtime.tape import Record

ACKNOWLEDGED_WITHIN_S: Final = 5.0
_AGAIN_AFTER_S: Final = 0.1


class Voice:
    """Says things as one user. What is not acknowledged is said again under the same id, until it is."""

    def __init__(self, login: Login) -> None:
        self.acknowledged = 0
        self.gaps_s: list[float] = []  # how long everything that was said took, trouble included
        self._login = login
        self._tape: NatsTape | None = None
        self._speaking = asyncio.Lock()

    async def say(self, *said: tuple[str, Message]) -> list[int]:
        """(identity, message) each. Returns their sequences, in order."""
        stored: dict[str, int] = {}
        began = time.monotonic()
        async with self._speaking:
            while missing := [each for each in said if each[0] not in stored]:
                try:
                    await self._attempt(missing, stored)
                except TapeError:
                    await self.close()
                    await asyncio.sleep(_AGAIN_AFTER_S)
        self.acknowledged += len(said)
        self.gaps_s.append(time.monotonic() - began)
        return [stored[identity] for identity, _ in said]

    async def close(self) -> None:
        tape, self._tape = self._tape, None
        if tape is not None:
            await tape.close()

    async def _attempt(self, said: Sequence[tuple[str, Message]], stored: dict[str, int]) -> None:
        if self._tape is None:
            self._tape = await NatsTape.connect(self._login)
        tape, user = self._tape, self._login.user
        waiting = {
            identity: await tape.append(subject(message), envelope(user, message, identity, cause=None))
            for identity, message in said
        }
        await asyncio.wait([*waiting.values()], timeout=ACKNOWLEDGED_WITHIN_S)
        for identity, ack in waiting.items():
            if ack.done() and not ack.cancelled():
                stored[identity] = ack.result()
        if tape.broken.done() or len(stored) < len(waiting):
            raise TapeError("not acknowledged")


class Said(NamedTuple):
    """One message of the tape. `at_ns` is the wall clock of its sender, `heard_ns` CLOCK_MONOTONIC when it was heard here."""

    seq: int
    source: str
    cause: tuple[int, int]  # sequence and index; (-1, -1) of what came from outside
    at_ns: int
    heard_ns: int
    message: Message


class Witness:
    """Hears all that is on the tape, in order, and tells `hear` of it."""

    def __init__(self, login: Login, kinds: Sequence[type[Message]] = ALL) -> None:
        self.said: list[Said] = []
        self.hear: list[Callable[[Said], None]] = []
        self.from_seq = 1
        self._login = login
        self._kinds = kinds
        self._last_seq = 0

    async def follow(self) -> None:
        """For ever."""
        while True:
            with contextlib.suppress(TapeError):
                tape = await NatsTape.connect(self._login)
                try:
                    first = max(self._last_seq + 1, self.from_seq)
                    await tape.read([pattern(kind) for kind in self._kinds], first, self._on_record)
                    await asyncio.wait([tape.broken])
                finally:
                    await tape.close()
            await asyncio.sleep(_AGAIN_AFTER_S)

    async def _on_record(self, record: Record) -> None:
        sealed = decode_envelope(record.payload)
        self._last_seq = record.seq
        cause = (sealed.cause_seq, sealed.cause_index)
        said = Said(record.seq, sealed.source, cause, sealed.ts_init, time.monotonic_ns(), decode(sealed))
        self.said.append(said)
        for hear in self.hear:
            hear(said)


async def until(true: Callable[[], bool], what: str, within_s: float = 60.0) -> float:
    """Waits for a condition. Returns how long it took. Raises AssertionError with its name."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < within_s, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.005)
    return time.monotonic() - began
