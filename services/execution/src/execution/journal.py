"""Order intents in PostgreSQL, written before a venue hears of the order (docs/adr/0004)."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

import asyncpg

UNRECORDED: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
_RETRY_AFTER_S: Final = 0.1
_INSERT: Final = """
    INSERT INTO order_intents (client_order_id, ts_event, intent) VALUES ($1, $2, $3)
    ON CONFLICT (client_order_id) DO UPDATE SET ts_event = excluded.ts_event, intent = excluded.intent
"""


class _Entry(NamedTuple):
    row: tuple[str, int, str]
    committed: asyncio.Future[None]


class Journal:
    """Order intents in PostgreSQL: one connection, opened when needed, synchronous commit. What arrives while a commit is
    under way shares the next one.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection | None = None
        self._waiting: list[_Entry] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, client_order_id: str, ts_event: int, intent: str) -> None:
        """Returns when the intent is committed; the same intent twice is one row."""
        entry = _Entry((client_order_id, ts_event, intent), asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting())
        await entry.committed

    async def write_patiently(self, client_order_id: str, ts_event: int, intent: str) -> None:
        """As `write`, again and again while PostgreSQL is away; the caller sets the limit."""
        while True:
            try:
                await self.write(client_order_id, ts_event, intent)
            except UNRECORDED:
                await self.close()
                await asyncio.sleep(_RETRY_AFTER_S)
            else:
                return

    async def close(self) -> None:
        """Drops the connection; the next write opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _write_waiting(self) -> None:
        while self._waiting:
            entries, self._waiting = self._waiting, []
            try:
                await self._insert([entry.row for entry in entries])
            except UNRECORDED as error:
                _settle(entries, error)
            else:
                _settle(entries, None)

    async def _insert(self, rows: list[tuple[str, int, str]]) -> None:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._dsn, server_settings={"synchronous_commit": "on"})
        await self._connection.executemany(_INSERT, rows)  # one transaction


def _settle(entries: list[_Entry], error: Exception | None) -> None:
    for entry in entries:
        if entry.committed.done():  # whoever waited has given up
            continue
        if error is None:
            entry.committed.set_result(None)
        else:
            entry.committed.set_exception(error)
