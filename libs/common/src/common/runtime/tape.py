"""The tape: one totally ordered log, in two forms behind one interface (`memory_tape`, `nats_tape`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol

from common.messages.base import Envelope

LEASE_TTL_S: Final = 2.0


class Record(NamedTuple):
    """One entry. `pending` is how many more matching entries the tape held when this one was delivered. `traceparent` is its
    header, where the tape keeps headers.
    """

    seq: int
    payload: bytes
    pending: int
    traceparent: str = ""


class Holder(NamedTuple):
    """Who holds a lease. `revision` rises with every write; an empty `name` is a lease that was given back."""

    name: str
    revision: int


class Fence(Protocol):
    """What every request to the world outside carries."""

    def token(self) -> int | None:
        """Rises with every holder of the lease. None while it is not surely held: then nothing may be sent."""
        ...


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

    async def claim(self, subject: str, envelope: Envelope, after_seq: int, held: Callable[[], bool]) -> None:
        """Appends the envelope, refused if anything newer than `after_seq` is on `subject`. From there on every append of this
        tape is refused, and breaks it, once anything newer than the envelope is there; and raises unsent when `held` says no.
        """
        ...

    async def lease_of(self, service: str) -> Holder | None:
        """Who holds the lease of `service`; None once it has run out."""
        ...

    async def hold_lease(self, service: str, name: str, revision: int) -> int | None:
        """Writes `name` if the lease is still at `revision` (0: nobody's), for LEASE_TTL_S. Returns the new revision, None if
        somebody else was faster.
        """
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


async def read_all(tape: Tape, patterns: Sequence[str], from_seq: int, handler: Handler) -> None:
    """Handles what is on the tape now from `from_seq` on, and returns. Raises what broke the tape meanwhile. Entries that come later
    are not handled. Where the end is the tape says itself: a consumer's count of what is pending is no more than a metric.
    """
    newest, over = await tape.last(patterns), asyncio.Event()
    if newest is None or newest.seq < from_seq:
        return

    async def each(record: Record) -> None:
        if record.seq <= newest.seq:
            await handler(record)
        if record.seq >= newest.seq:
            over.set()

    tape.broken.add_done_callback(lambda broken: over.set())
    await tape.read(patterns, from_seq, each)
    await over.wait()
    if tape.broken.done():
        raise tape.broken.result()
