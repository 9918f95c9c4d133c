"""How the servers are, asked by the one service that is connected to all of them: no exporters beside them."""

from __future__ import annotations

import asyncio
import math
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import redis.asyncio
from prometheus_client import Gauge

from common.errors import BallastError, TapeError
from common.runtime import metrics
from common.runtime.nats_tape import NatsTape
from common.runtime.postgres import Postgres
from common.runtime.redis import plainly

ASK_EVERY_S: Final = 5.0
ANSWER_WITHIN_S: Final = 3.0
_POSTGRES: Final = """
    SELECT pg_database_size(datid) AS bytes, numbackends, xact_commit FROM pg_stat_database
    WHERE datname = current_database()
"""
_OF_NATS: Final = (metrics.STREAM_MESSAGES, metrics.STREAM_BYTES)
_OF_REDIS: Final = (metrics.REDIS_MEMORY, metrics.REDIS_KEYS)
_OF_POSTGRES: Final = (metrics.POSTGRES_BYTES, metrics.POSTGRES_CONNECTIONS)


class Servers:
    """`tape` gives the connection there is now, None where there is none."""

    def __init__(
        self, tape: Callable[[], NatsTape | None], client: redis.asyncio.Redis, postgres: Postgres, home: Path
    ) -> None:
        self._tape = tape
        self._redis = client
        self._postgres = postgres
        self._home = home
        self._commits: int | None = None

    async def watch(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await asyncio.sleep(ASK_EVERY_S)

    async def look(self) -> None:
        """Once, all at the same time: one that hangs must not hide the others."""
        await asyncio.gather(
            _ask(self._ask_nats, metrics.NATS_UP, _OF_NATS),
            _ask(self._ask_redis, metrics.REDIS_UP, _OF_REDIS),
            _ask(self._ask_postgres, metrics.POSTGRES_UP, _OF_POSTGRES),
        )
        metrics.DISK_FREE.labels(str(self._home)).set(shutil.disk_usage(self._home).free)

    async def _ask_nats(self) -> None:
        tape = self._tape()
        if tape is None:
            raise TapeError("not connected")
        for stream, size in (await tape.sizes()).items():
            metrics.STREAM_MESSAGES.labels(stream).set(size.messages)
            metrics.STREAM_BYTES.labels(stream).set(size.size_bytes)

    async def _ask_redis(self) -> None:
        with plainly():
            memory = await self._redis.info("memory")
            metrics.REDIS_MEMORY.set(memory["used_memory"])
            metrics.REDIS_KEYS.set(await self._redis.dbsize())

    async def _ask_postgres(self) -> None:
        row = await self._postgres.fetchrow(_POSTGRES)
        assert row is not None
        metrics.POSTGRES_BYTES.set(row["bytes"])
        metrics.POSTGRES_CONNECTIONS.set(row["numbackends"])
        commits = row["xact_commit"]
        if self._commits is not None:
            metrics.POSTGRES_COMMITS.inc(max(commits - self._commits, 0))  # a server that crashed counts anew
        self._commits = commits


async def _ask(ask: Callable[[], Awaitable[None]], up: Gauge, told: tuple[Gauge, ...]) -> None:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await ask()
    except (BallastError, TimeoutError):
        up.set(0)
        _forget(told)
    else:
        up.set(1)


def _forget(told: tuple[Gauge, ...]) -> None:
    for gauge in told:
        if gauge in _OF_NATS:
            gauge.clear()
        else:
            gauge.set(math.nan)
