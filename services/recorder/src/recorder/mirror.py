"""Keeps Redis equal to the hot state in PostgreSQL. Redis may be away or forget everything: recording never waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import redis.asyncio
from structlog.stdlib import BoundLogger

from common.runtime.postgres import PostgresError
from common.runtime.redis import HASHES, TAPE, RedisError, key, plainly

CHECK_EVERY_S: Final = 1.0
RETRY_AFTER_S: Final = 0.5

Hot = Mapping[tuple[str, str], str]


class Mirror:
    """Writes what is `put` and, whenever Redis does not hold what was last written there, everything anew."""

    def __init__(self, client: redis.asyncio.Redis, everything: Callable[[], Awaitable[Hot]], log: BoundLogger) -> None:
        self.trouble = ""
        self.rebuilds = 0
        self._client = client
        self._everything = everything
        self._log = log
        self._news: dict[tuple[str, str], str] = {}
        self._grown = asyncio.Event()
        self._synced = False
        self._seq: str | None = None  # what Redis says how far it is, when synced

    def put(self, hot: Hot) -> None:
        """Takes note; only the newest value of a field counts, so that what waits is bounded."""
        self._news.update(hot)
        self._grown.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self._once()
            except (RedisError, PostgresError) as error:
                self._failed(str(error))
                await asyncio.sleep(RETRY_AFTER_S)

    async def _once(self) -> None:
        with contextlib.suppress(TimeoutError):  # nothing new, but Redis may have been wiped
            await asyncio.wait_for(self._grown.wait(), CHECK_EVERY_S)
        self._grown.clear()
        news, self._news = self._news, {}
        if not self._synced or not await self._write(news):
            await self._rebuild()
        if self.trouble:
            self._log.info("redis is back, hot state rebuilt")
            self.trouble = ""

    async def _write(self, news: Hot) -> bool:
        """False when Redis was not where we had left it."""
        with plainly():
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.hget(key(TAPE), "seq")
                _set(pipeline, news)
                found = (await pipeline.execute())[0]
        as_left: bool = found == self._seq
        self._seq = news.get((TAPE, "seq"), self._seq)
        return as_left

    async def _rebuild(self) -> None:
        """What is put from now on is at least as new as what is read now, so its order does not matter."""
        everything = await self._everything()
        with plainly():
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.delete(*map(key, HASHES))
                _set(pipeline, everything)
                await pipeline.execute()
        self._seq, self._synced = everything.get((TAPE, "seq")), True
        self.rebuilds += 1

    def _failed(self, why: str) -> None:
        self._synced = False
        if not self.trouble:
            self._log.warning("redis does not follow; recording goes on", error=why)
        self.trouble = why


def _set(pipeline: redis.asyncio.client.Pipeline, hot: Hot) -> None:
    hashes: dict[str, dict[Any, Any]] = {}
    for (name, field), value in hot.items():
        hashes.setdefault(name, {})[field] = value
    for name, fields in hashes.items():
        pipeline.hset(key(name), mapping=fields)
