"""Brings the database to the schema of this build, once, whoever else is starting at the same moment.

Alembic writes the SQL and this module runs it: one driver, one connection, and alembic is imported only when there is
something to do.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import asyncpg

from common.errors import BallastError

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x62616C6C617374  # "ballast"


def newest() -> str:
    """The version this build expects."""
    return max(_versions())


async def create(connection: asyncpg.Connection, version: str) -> None:
    """The schema of that version in a database that has none yet, for rows that were backed up with it. Raises BallastError for one
    that this build does not know.
    """
    if version not in _versions():
        raise BallastError(_unknown("the backup", version))
    await connection.execute(_sql("base", version))


async def migrate(connection: asyncpg.Connection) -> str | None:
    """Returns the version it came from (`base` for an empty database), None when there was nothing to do.

    Raises BallastError when the database is newer than this build.
    """
    if await _version(connection) == newest():
        return None
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        found = await _version(connection)
        if found == newest():
            return None  # somebody else was faster
        if found is not None and found not in _versions():
            raise BallastError(_unknown("PostgreSQL", found))
        await connection.execute(_sql(found or "base"))
        return found or "base"
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


def _versions() -> set[str]:
    return {path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("v*.py")}


async def _version(connection: asyncpg.Connection) -> str | None:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    version: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return version


def _unknown(where: str, found: str) -> str:
    return f"{where} has schema {found!r}, this build knows up to {newest()!r}; use a newer build"


def _sql(found: str, wanted: str = "head") -> str:
    from alembic import command
    from alembic.config import Config

    written = io.StringIO()
    config = Config(output_buffer=written)
    config.set_main_option("script_location", str(MIGRATIONS))
    command.upgrade(config, f"{found}:{wanted}", sql=True)
    return written.getvalue()
