"""The tape in memory: for tests and for runs that leave nothing behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from common.errors import TapeError
from common.messages.base import Envelope
from common.runtime.codec import encode_envelope
from common.runtime.tape import LEASE_TTL_S, Handler, Holder, Record


class _Entry(NamedTuple):
    subject: str
    payload: bytes


class _Lease(NamedTuple):
    holder: Holder
    ends: float


class _Fence(NamedTuple):
    subject: str
    seq: int
    held: Callable[[], bool]


class MemoryLog:
    """What outlives a connection. Several `MemoryTape`s on one log are several connections to one broker, whose `clock`
    decides when a lease runs out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.leases: dict[str, _Lease] = {}
        self.lease_revision = 0
        self.last_on: dict[str, int] = {}
        self.entries: list[_Entry] = []
        self.sequence_of: dict[str, int] = {}
        self.snapshots: dict[str, bytes] = {}
        self.dead_letters: list[tuple[str, Record, str]] = []
        self.listeners: list[tuple[str, Callable[[bytes], None]]] = []
        self.grown = asyncio.Condition()


class MemoryTape:
    """One connection to a `MemoryLog`."""

    def __init__(self, log: MemoryLog) -> None:
        self.broken: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._log = log
        self._fence: _Fence | None = None
        self._readers: list[asyncio.Task[None]] = []

    async def append(self, subject: str, envelope: Envelope) -> asyncio.Future[int]:
        log, stored = self._log, asyncio.get_running_loop().create_future()
        if not self._passes():
            stored.cancel()
            return stored
        if envelope.id not in log.sequence_of:
            log.entries.append(_Entry(subject, encode_envelope(envelope)))
            log.sequence_of[envelope.id] = log.last_on[subject] = len(log.entries)
            async with log.grown:
                log.grown.notify_all()
        stored.set_result(log.sequence_of[envelope.id])
        return stored

    async def flush(self) -> None:
        if self.broken.done():
            raise self.broken.result()

    async def claim(self, subject: str, envelope: Envelope, after_seq: int, held: Callable[[], bool]) -> None:
        self._fence = _Fence(subject, after_seq, held)
        stored = await self.append(subject, envelope)
        await self.flush()
        self._fence = _Fence(subject, stored.result(), held)

    async def lease_of(self, service: str) -> Holder | None:
        lease = self._log.leases.get(service)
        return lease.holder if lease and self._log.clock() < lease.ends else None

    async def hold_lease(self, service: str, name: str, revision: int) -> int | None:
        log, now = self._log, await self.lease_of(service)
        if revision != (now.revision if now else 0):
            return None
        log.lease_revision += 1
        log.leases[service] = _Lease(Holder(name, log.lease_revision), log.clock() + LEASE_TTL_S)
        return log.lease_revision

    async def read(self, patterns: Sequence[str], from_seq: int, handler: Handler) -> int:
        waiting = sum(matches(entry.subject, patterns) for entry in self._log.entries[from_seq - 1 :])
        self._readers.append(asyncio.create_task(self._deliver(patterns, from_seq, handler)))
        return waiting

    async def last(self, patterns: Sequence[str]) -> Record | None:
        for index in range(len(self._log.entries) - 1, -1, -1):
            if matches(self._log.entries[index].subject, patterns):
                return Record(index + 1, self._log.entries[index].payload, 0)
        return None

    async def get_snapshot(self, service: str) -> bytes | None:
        return self._log.snapshots.get(service)

    async def put_snapshot(self, service: str, value: bytes) -> None:
        self._log.snapshots[service] = value

    async def dead_letter(self, service: str, record: Record, reason: str) -> None:
        self._log.dead_letters.append((service, record, reason))

    async def beat(self, service: str, payload: bytes) -> None:
        for wanted, heard in self._log.listeners:
            if wanted in ("*", service):
                heard(payload)

    async def listen(self, service: str, heard: Callable[[bytes], None]) -> None:
        self._log.listeners.append((service, heard))

    async def close(self) -> None:
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    def _passes(self) -> bool:
        """False, with the tape broken, once a newer holder speaks. Raises TapeError where nothing may even be sent."""
        if self.broken.done():
            raise self.broken.result()
        if self._fence is None:
            return True
        if not self._fence.held():
            raise TapeError("append: the lease is no longer held")
        if self._log.last_on.get(self._fence.subject, 0) == self._fence.seq:
            return True
        self.broken.set_result(TapeError(f"append refused: {self._fence.subject} has a newer holder"))
        return False

    async def _deliver(self, patterns: Sequence[str], from_seq: int, handler: Handler) -> None:
        position, log = from_seq - 1, self._log
        try:
            while True:
                async with log.grown:
                    while position >= len(log.entries):
                        await log.grown.wait()
                entry = log.entries[position]
                position += 1
                if matches(entry.subject, patterns):
                    await handler(Record(position, entry.payload, len(log.entries) - position))
        except Exception as error:  # noqa: BLE001 (a bug of the handler belongs to the owner of the tape)
            if not self.broken.done():
                self.broken.set_result(error)


def matches(subject: str, patterns: Sequence[str]) -> bool:
    """NATS matching for the two kinds of filter in use: a literal subject, or a prefix and `>`."""
    return any(
        subject.startswith(pattern[:-1]) if pattern.endswith(".>") else subject == pattern for pattern in patterns
    )
