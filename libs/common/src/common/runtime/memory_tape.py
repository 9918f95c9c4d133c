"""The tape in memory: for tests and for runs that leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from common.messages.base import Envelope
from common.runtime.codec import encode_envelope
from common.runtime.tape import Handler, Record


class _Entry(NamedTuple):
    subject: str
    payload: bytes


class MemoryLog:
    """What outlives a connection. Several `MemoryTape`s on one log are several connections to one broker."""

    def __init__(self) -> None:
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
        self._readers: list[asyncio.Task[None]] = []

    async def append(self, subject: str, envelope: Envelope) -> asyncio.Future[int]:
        log, stored = self._log, asyncio.get_running_loop().create_future()
        if envelope.id not in log.sequence_of:
            log.entries.append(_Entry(subject, encode_envelope(envelope)))
            log.sequence_of[envelope.id] = len(log.entries)
            async with log.grown:
                log.grown.notify_all()
        stored.set_result(log.sequence_of[envelope.id])
        return stored

    async def flush(self) -> None:
        return

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
