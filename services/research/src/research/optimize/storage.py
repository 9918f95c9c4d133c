"""Where studies are kept: PostgreSQL, in a schema of their own, or whatever else Optuna can write to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from zlib import crc32

from common.errors import BallastError, ConfigError

SCHEMA: Final = "optuna"
_POSTGRES: Final = ("postgresql", "postgres", "postgresql+psycopg")


@contextmanager
def opened(url: str, study: str) -> Iterator[Any]:
    """The storage at `url`, an `optuna.storages.RDBStorage`. In PostgreSQL nobody else works on `study` meanwhile.

    Raises ConfigError where the storage cannot be reached, BallastError where another process has the study.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("--storage: no database URL; expected postgresql://user:password@host/database") from None
    if parsed.drivername not in _POSTGRES:
        yield _rdb(url, parsed.render_as_string())
        return
    parsed = parsed.set(drivername="postgresql+psycopg")
    with _held(parsed, study):
        if "options" not in parsed.query:
            parsed = parsed.update_query_dict({"options": f"-csearch_path={SCHEMA}"})
        yield _rdb(parsed.render_as_string(hide_password=False), _named(parsed))


@contextmanager
def _held(url: Any, study: str) -> Iterator[None]:
    """The schema exists, and the lock of the study is ours until the connection ends, whatever ends it."""
    import psycopg

    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        connection = psycopg.connect(plain, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        expected = "expected a PostgreSQL that runs; without --storage the one of BALLAST_HOME is taken"
        raise ConfigError(f"--storage {_named(url)}: {reason}; {expected}") from None
    with connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (_key(SCHEMA), _key(study))).fetchone()
        if row is None or not row[0]:
            raise BallastError(f"study {study}: another process works on it; wait for it or name another with --study")
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        yield


def _rdb(url: str, name: str) -> Any:
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

    try:
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except (SQLAlchemyError, ImportError, NoSuchModuleError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"--storage {name}: {reason}; expected a database that can be written") from None


def _named(url: Any) -> str:
    return str(url.set(drivername="postgresql", query={}).render_as_string(hide_password=True))


def _key(text: str) -> int:
    """A signed 32-bit number, as advisory locks take them."""
    return crc32(text.encode()) - 2**31
