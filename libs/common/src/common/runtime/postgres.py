"""Access to PostgreSQL: a pool that opens when it is needed, survives a restart of the server and says plainly what failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

import asyncpg

from common.errors import BallastError

T = TypeVar("T")

CONNECT_TIMEOUT_S: Final = 5.0
_LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
)
_REFUSED: Final = (
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ReadOnlySQLTransactionError,
)


class PostgresError(BallastError):
    """PostgreSQL is out of reach, full, or refuses the login. Errors of a statement stay asyncpg's: they are bugs."""


class Postgres:
    """Connections to one database. `read_only` sessions cannot write, whatever the SQL says.

    Reconnect policy: nothing is kept of a connection that failed. A single statement is tried once more on a fresh one,
    a transaction is not: its owner knows what to do again.
    """

    def __init__(self, dsn: str, *, size: int = 4, command_timeout_s: float = 30.0, read_only: bool = False) -> None:
        self._dsn = dsn
        self._size = size
        self._command_timeout_s = command_timeout_s
        self._settings = {"default_transaction_read_only": "on"} if read_only else {}
        self._opening = asyncio.Lock()
        self._pool: asyncpg.Pool | None = None

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """All rows. Raises PostgresError."""
        return await self._twice(lambda connection: connection.fetch(sql, *arguments))

    async def fetchrow(self, sql: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row. Raises PostgresError."""
        return await self._twice(lambda connection: connection.fetchrow(sql, *arguments))

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """One connection for as long as it is needed. Trouble inside the block becomes PostgresError too."""
        with _plainly():
            pool = await self._open()
            async with pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                yield connection

    async def close(self) -> None:
        """Drops every connection at once; the next use opens new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def _open(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=0,
                    max_size=self._size,
                    timeout=CONNECT_TIMEOUT_S,
                    command_timeout=self._command_timeout_s,
                    server_settings=self._settings,
                )
            return self._pool

    async def _twice(self, ask: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        with _plainly():
            try:
                async with (await self._open()).acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                    return await ask(connection)
            except _LOST:  # the server was restarted under an idle connection: the others of the pool are as dead
                await self.close()
                async with (await self._open()).acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                    return await ask(connection)


@contextmanager
def _plainly() -> Iterator[None]:
    try:
        yield
    except (*_LOST, *_REFUSED) as error:
        raise PostgresError(f"PostgreSQL: {str(error) or type(error).__name__}") from error
