"""The tape: one totally ordered log, in two forms behind one interface (`memory_tape`, `nats_tape`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from common.messages.base import Envelope


class Record(NamedTuple):
    """One entry. `pending` is how many more matching entries the tape held when this one was delivered."""

    seq: int
    payload: bytes
    pending: int


Handler = Callable[[Record], Awaitable[None]]


class Tape(Protocol):
    """Appends are pipelined and keep their order; an id already on the tape is not stored twice.

    Every method raises TapeError when the tape is out of reach. `broken` completes with the reason as soon as the tape
    cannot be trusted to be in order any more: the owner then closes it, opens a new one and rebuilds from it.
    """

    broken: asyncio.Future[Exception]

    async def append(self, subject: str, envelope: Envelope) -> asyncio.Future[int]:
        """Queues the envelope; the future gives its sequence once it is stored."""
        ...

    async def flush(self) -> None:
        """Returns when everything appended so far is stored."""
        ...

    async def read(self, patterns: Sequence[str], from_seq: int, handler: Handler) -> int:
        """Delivers, in order, each entry from `from_seq` on whose subject matches, for ever. Returns how many wait now."""
        ...

    async def last(self, patterns: Sequence[str]) -> Record | None:
        """The newest entry that matches any of the patterns."""
        ...

    async def get_snapshot(self, service: str) -> bytes | None: ...

    async def put_snapshot(self, service: str, value: bytes) -> None: ...

    async def dead_letter(self, service: str, record: Record, reason: str) -> None:
        """Sets aside an entry that cannot be understood."""
        ...

    async def beat(self, service: str, payload: bytes) -> None:
        """A sign of life, lossy, off the tape."""
        ...

    async def listen(self, service: str, heard: Callable[[bytes], None]) -> None:
        """Calls `heard` at every sign of life of `service` ("*" of all)."""
        ...

    async def close(self) -> None: ...
