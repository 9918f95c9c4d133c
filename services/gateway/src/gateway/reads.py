"""Reading for many at once: whoever asks for what is just being read gets that answer instead of having it read again.

A hundred pages that hear of the same step ask for the same things in the same moment. An answer is shared only while it is
on its way, never kept: it is as old as one read takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import asyncpg
import redis.asyncio

from common.runtime.postgres import Postgres
from gateway import hot


class Shared:
    """At most one fetch of a key at a time. What it raises, everybody who waits for it gets."""

    def __init__(self) -> None:
        self._flying: dict[Hashable, asyncio.Task[Any]] = {}

    async def once(self, key: Hashable, fetch: Callable[[], Awaitable[Any]]) -> Any:
        """The answer that is on its way, else a new one. Whoever stops waiting leaves it to the others."""
        task = self._flying.get(key)
        if task is None:
            task = self._flying[key] = asyncio.create_task(_run(fetch))
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    def _landed(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._flying[key]
        if not task.cancelled():
            task.exception()  # seen, also where nobody waits any longer


async def _run(fetch: Callable[[], Awaitable[Any]]) -> Any:
    return await fetch()


class Reads:
    """What the API reads from: the hot state in Redis, history in PostgreSQL. Answers are shared: change none."""

    def __init__(self, postgres: Postgres, client: redis.asyncio.Redis) -> None:
        self._postgres, self._client = postgres, client
        self._shared = Shared()

    async def view(self) -> hot.View:
        """The hot state as of one moment. Raises RedisError."""
        view: hot.View = await self._shared.once("hot", lambda: hot.read(self._client))
        return view

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """All rows. Raises PostgresError."""
        key = ("all", sql, arguments)
        rows: list[asyncpg.Record] = await self._shared.once(key, lambda: self._postgres.fetch(sql, *arguments))
        return rows

    async def made(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """An answer that costs more to make than to read, made once for all who ask for it at the same moment."""
        answer: bytes = await self._shared.once(("made", key), make)
        return answer

    async def fetchrow(self, sql: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row. Raises PostgresError."""
        key = ("first", sql, arguments)
        row: asyncpg.Record | None = await self._shared.once(key, lambda: self._postgres.fetchrow(sql, *arguments))
        return row
