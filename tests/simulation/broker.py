"""A broker in memory that loses connections at the worst moment. What it keeps is what JetStream keeps: stored is stored, in
one order; of ids it remembers only the last few, so that nobody can lean on de-duplication.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from common.errors import TapeError
from common.messages.base import Envelope
from common.runtime.codec import encode_envelope
from common.runtime.memory_tape import matches
from common.runtime.tape import LEASE_TTL_S, Handler, Holder, Record

IDS_REMEMBERED: Final = 8


class Entry(NamedTuple):
    subject: str
    payload: bytes
    envelope: Envelope


class Loss(NamedTuple):
    """What happens to an append: the connection dies before the entry is stored, or after it and before the acknowledgement."""

    before: bool = False
    after: bool = False


@dataclass
class Broker:
    """`lose` is asked at every append of a service; `stored` is called with every new entry; `clock` ends leases, in seconds."""

    lose: Callable[[str], Loss]
    stored: Callable[[int, Entry], None]
    clock: Callable[[], float]
    entries: list[Entry] = field(default_factory=list)
    snapshots: dict[str, bytes] = field(default_factory=dict)
    dead_letters: list[tuple[str, int, str]] = field(default_factory=list)
    leases: dict[str, tuple[Holder, float]] = field(default_factory=dict)
    revision: int = 0
    last_on: dict[str, int] = field(default_factory=dict)
    _ids: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _matches: dict[tuple[str, tuple[str, ...]], bool] = field(default_factory=dict)

    def store(self, subject: str, envelope: Envelope) -> int:
        known = self._ids.get(envelope.id)
        if known is not None:
            return known
        entry = Entry(subject, encode_envelope(envelope), envelope)
        self.entries.append(entry)
        seq = self.last_on[subject] = len(self.entries)
        self._ids[envelope.id] = seq
        if len(self._ids) > IDS_REMEMBERED:
            self._ids.popitem(last=False)
        self.stored(seq, entry)
        return seq

    def matches(self, subject: str, patterns: tuple[str, ...]) -> bool:
        key = (subject, patterns)
        if key not in self._matches:
            self._matches[key] = matches(subject, patterns)
        return self._matches[key]


class Connection:
    """One service's connection: the Tape protocol, but entries are handed over only when the scheduler says so."""

    def __init__(self, broker: Broker, service: str) -> None:
        self.broken: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._broker = broker
        self._service = service
        self._patterns: tuple[str, ...] = ()
        self._position = 0
        self._handler: Handler | None = None
        self._fence: tuple[str, int, Callable[[], bool]] | None = None

    # --- the scheduler's side ------------------------------------------------------------------------

    def has_next(self) -> bool:
        """Skips what the service does not read."""
        entries = self._broker.entries
        if self._handler is None or self.broken.done():
            return False
        while self._position < len(entries):
            if self._broker.matches(entries[self._position].subject, self._patterns):
                return True
            self._position += 1
        return False

    async def deliver(self) -> None:
        """Hands over the next entry; what the handler raises breaks the connection, as on the real tape."""
        entry = self._broker.entries[self._position]
        self._position += 1
        assert self._handler is not None
        try:
            await self._handler(Record(self._position, entry.payload, len(self._broker.entries) - self._position))
        except Exception as error:  # noqa: BLE001 (the owner decides what it was)
            self.die(error)

    def die(self, error: Exception) -> None:
        if not self.broken.done():
            self.broken.set_result(error)

    # --- the Tape protocol ---------------------------------------------------------------------------

    async def append(self, subject: str, envelope: Envelope) -> asyncio.Future[int]:
        if self.broken.done():
            raise TapeError("the connection is gone")
        self._pass_fence()
        loss = self._broker.lose(self._service)
        if loss.before:
            raise self._lost("before it was stored")
        seq = self._broker.store(subject, envelope)
        if loss.after:
            raise self._lost("before it was acknowledged")
        stored = asyncio.get_running_loop().create_future()
        stored.set_result(seq)
        return stored

    async def claim(self, subject: str, envelope: Envelope, after_seq: int, held: Callable[[], bool]) -> None:
        self._fence = (subject, after_seq, held)
        stored = await self.append(subject, envelope)
        self._fence = (subject, stored.result(), held)

    async def lease_of(self, service: str) -> Holder | None:
        holder, ends = self._broker.leases.get(service, (None, 0.0))
        return holder if self._broker.clock() < ends else None

    async def hold_lease(self, service: str, name: str, revision: int) -> int | None:
        broker, now = self._broker, await self.lease_of(service)
        if self.broken.done():
            raise TapeError("the connection is gone")
        if revision != (now.revision if now else 0):
            return None
        broker.revision += 1
        broker.leases[service] = (Holder(name, broker.revision), broker.clock() + LEASE_TTL_S)
        return broker.revision

    async def flush(self) -> None:
        if self.broken.done():
            raise TapeError("the connection is gone")

    async def read(self, patterns: Sequence[str], from_seq: int, handler: Handler) -> int:
        self._patterns, self._position, self._handler = tuple(patterns), from_seq - 1, handler
        entries = self._broker.entries[from_seq - 1 :]
        return sum(self._broker.matches(entry.subject, self._patterns) for entry in entries)

    async def last(self, patterns: Sequence[str]) -> Record | None:
        wanted = tuple(patterns)
        for index in range(len(self._broker.entries) - 1, -1, -1):
            if self._broker.matches(self._broker.entries[index].subject, wanted):
                return Record(index + 1, self._broker.entries[index].payload, 0)
        return None

    async def get_snapshot(self, service: str) -> bytes | None:
        return self._broker.snapshots.get(service)

    async def put_snapshot(self, service: str, value: bytes) -> None:
        await self.flush()
        self._broker.snapshots[service] = value

    async def dead_letter(self, service: str, record: Record, reason: str) -> None:
        self._broker.dead_letters.append((service, record.seq, reason))

    async def beat(self, service: str, payload: bytes) -> None:
        return

    async def listen(self, service: str, heard: Callable[[bytes], None]) -> None:
        return

    async def close(self) -> None:
        self.die(TapeError("closed"))

    def _pass_fence(self) -> None:
        """As the server does it: refused once anything newer is on the lease's subject."""
        if self._fence is None:
            return
        place, seq, held = self._fence
        if not held():
            raise TapeError("the lease is no longer held")
        if self._broker.last_on.get(place, 0) != seq:
            error = TapeError(f"append refused: {place} has a newer holder")
            self.die(error)
            raise error

    def _lost(self, when: str) -> TapeError:
        error = TapeError(f"connection lost {when}")
        self.die(error)
        return error
