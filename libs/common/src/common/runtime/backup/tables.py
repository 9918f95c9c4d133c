"""Tables of PostgreSQL in the text format of COPY, which every version reads and which needs no tools beside the driver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg

from common.errors import DataError
from common.runtime.backup.archive import Writer
from common.runtime.backup.manifest import TablePart
from common.runtime.postgres import CONNECT_TIMEOUT_S, PostgresError

VERSION_TABLE: Final = "alembic_version"
_OURS: Final = """
    SELECT c.relname AS name,
           array_agg(a.attname::text ORDER BY a.attnum) AS columns
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND a.attgenerated = '' AND NOT c.relispartition
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    GROUP BY c.relname ORDER BY c.relname
"""

MakeSchema = Callable[[asyncpg.Connection, str], Awaitable[Any]]


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Raises PostgresError, in one sentence, for all that goes wrong in the block but DataError of ours."""
    with _plainly():
        connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S)
        try:
            yield connection
        finally:
            connection.terminate()


async def ours(connection: asyncpg.Connection) -> dict[str, tuple[str, ...]]:
    """Columns by table, of those that belong to no extension."""
    return {row["name"]: tuple(row["columns"]) for row in await connection.fetch(_OURS)}


async def version(connection: asyncpg.Connection) -> str:
    """Of the schema; empty where there is none yet."""
    if await connection.fetchval("SELECT to_regclass($1)", VERSION_TABLE) is None:
        return ""
    return await connection.fetchval(f"SELECT version_num FROM {VERSION_TABLE}") or ""  # noqa: S608 a constant


async def save(
    connection: asyncpg.Connection, archive: Writer, columns: Mapping[str, Sequence[str]]
) -> dict[str, TablePart]:
    """All rows of these tables as of one instant."""
    saved = {}
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for table, names in columns.items():
            with archive.part(f"tables/{table}") as part:

                async def write(piece: bytes, to: Callable[[bytes], None] = part.write) -> None:
                    to(piece)

                # A query, because COPY of a hypertable by its name gives nothing.
                done = await connection.copy_from_query(f"SELECT {_list(names)} FROM {_quoted(table)}", output=write)  # noqa: S608
            saved[table] = TablePart(columns=tuple(names), rows=int(done.split()[-1]))
    return saved


async def load(
    connection: asyncpg.Connection,
    tables: Mapping[str, TablePart],
    pieces: Callable[[str], Iterable[bytes]],
    schema: str,
    make_schema: MakeSchema,
) -> None:
    """The rows of `tables` and no others, in the schema of that version, which is made anew where it is another one. Raises DataError
    where the tables do not fit. The rows are one transaction.
    """
    if await version(connection) != schema:
        await _drop_all(connection)
        await make_schema(connection, schema)
    found = await ours(connection)
    if strange := sorted(set(tables) - set(found)):
        raise DataError(f"the archive has tables that schema {schema} has not: {', '.join(strange)}")
    async with connection.transaction():
        await connection.execute(f"TRUNCATE {_list(found)}")
        for table, part in tables.items():
            source = _asynchronously(pieces(table))
            done = await connection.copy_to_table(table, source=source, columns=part.columns)
            if int(done.split()[-1]) != part.rows:
                raise DataError(f"table {table}: {done.split()[-1]} rows in the archive, {part.rows} by its manifest")


async def _drop_all(connection: asyncpg.Connection) -> None:
    if names := await ours(connection):
        await connection.execute(f"DROP TABLE {_list(names)} CASCADE")


async def _asynchronously(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def _plainly() -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
        raise PostgresError(f"PostgreSQL: {str(error) or type(error).__name__}") from error
