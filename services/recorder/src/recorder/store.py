"""The recorder's side of PostgreSQL: all its SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from common.errors import BallastError
from common.model.time import NS_PER_HOUR, Timeframe
from common.runtime.postgres import PostgresError
from common.runtime.redis import TAPE
from recorder.audit import GENESIS, first_break, sealed
from recorder.hot import Put
from recorder.hot_window import Trim
from recorder.projections import COLUMNS
from recorder.rows import Row

_TAPE: Final = (
    *("seq", "ts_init", "ts_event", "type", "source", "id", "correlation_id", "causation_id", "cause_seq"),
    *("cause_index", "data"),
)
PING_TIMEOUT_S: Final = 5.0
_KEPT: Final = {"audit_log", "runs", "parameter_history"}
_FIRST_WINS: Final = ("first_seq", "ts_first")


def _upsert_orders() -> str:
    columns = COLUMNS["orders"]
    values = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
    told = ", ".join(
        f"{name} = COALESCE(excluded.{name}, orders.{name})"
        for name in columns
        if name not in (*_FIRST_WINS, "client_order_id")
    )
    return f"""
        INSERT INTO orders ({", ".join(columns)}) VALUES ({values})
        ON CONFLICT (client_order_id) DO UPDATE SET {told}
    """  # noqa: S608 column names are ours


_ORDERS: Final = _upsert_orders()
_HOT: Final = """
    INSERT INTO hot_state (hash, field, value) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
    ON CONFLICT (hash, field) DO UPDATE SET value = excluded.value
"""
_ADVANCE: Final = "UPDATE recorder_position SET seq = $1, digest = $2 WHERE seq = $3"
_DATA_TIME: Final = (TAPE, "ts_event")
_FINE: Final = ", ".join(f"'{timeframe}'" for timeframe in Timeframe if timeframe.ns < NS_PER_HOUR)
_OLD: Final = f"ts_event <= $1 AND timeframe IN ({_FINE})"
# Nothing where another recorder has been: it may be about another run by now. A place in a table is one in each chunk of a
# hypertable, so what is deleted is asked again whether it is old.
TRIM: Final = f"""
    WITH mine AS (
        SELECT seq FROM recorder_position WHERE seq = $3 FOR UPDATE
    )
    DELETE FROM market_bars WHERE {_OLD} AND ctid = ANY (ARRAY(
        SELECT ctid FROM market_bars WHERE {_OLD} AND EXISTS (SELECT FROM mine) ORDER BY ts_event LIMIT $2
    ))
"""  # noqa: S608 timeframes are ours


class Position(NamedTuple):
    """The last message recorded: its sequence and a digest of its bytes, which is empty when there is none to recognize."""

    seq: int
    digest: str

    @property
    def first_to_read(self) -> int:
        """The last one recorded is read again, to see that it is still the same tape."""
        return self.seq if self.digest else self.seq + 1


class DeadLetter(NamedTuple):
    seq: int
    reason: str
    payload: bytes


class Batch(msgspec.Struct):
    """What consecutive messages add, and the position after them."""

    position: Position
    tape: list[Row] = msgspec.field(default_factory=list)
    rows: dict[str, list[Row]] = msgspec.field(default_factory=dict)
    hot: dict[tuple[str, str], str] = msgspec.field(default_factory=dict)
    dead: list[DeadLetter] = msgspec.field(default_factory=list)

    def put(self, puts: Iterable[Put]) -> None:
        for put in puts:
            self.hot[put.hash_name, put.field] = put.value


class Store:
    """One connection, one writer: whoever else writes at the same time is found out before anything is committed."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._sealed = GENESIS
        self.ts_event = 0  # data time of what is recorded; 0 before the first slice

    async def open(self) -> Position:
        """Where to go on. Raises BallastError when the audit log has been tampered with."""
        audit = await self._connection.fetch("SELECT * FROM audit_log ORDER BY seq")
        broken = first_break(tuple(row) for row in audit)
        if broken is not None:
            raise BallastError(f"audit_log: the entry with seq {broken} does not follow from the one before it")
        self._sealed = audit[-1]["hash"] if audit else GENESIS
        told = await self._connection.fetchval(
            "SELECT value FROM hot_state WHERE hash = $1 AND field = $2", *_DATA_TIME
        )
        self.ts_event = int(told or 0)
        row = await self._connection.fetchrow("SELECT seq, digest FROM recorder_position")
        return Position(row["seq"], row["digest"])

    async def write(self, batch: Batch, after: int) -> None:
        """All of it or nothing. `after` is the position the batch follows on."""
        audit = sealed(self._sealed, batch.rows.get("audit_log", ()))
        async with self._connection.transaction():
            done = await self._connection.execute(_ADVANCE, *batch.position, after)
            if done != "UPDATE 1":
                raise PostgresError(f"PostgreSQL: another recorder was here, the position is no longer {after}")
            await self._copy("tape", _TAPE, batch.tape)
            await self._copy("audit_log", (*COLUMNS["audit_log"], "previous_hash", "hash"), audit)
            await self._copy("dead_letters", DeadLetter._fields, batch.dead)
            for table, rows in batch.rows.items():
                if table == "orders":
                    await self._connection.executemany(_ORDERS, rows)
                elif table != "audit_log":
                    await self._copy(table, COLUMNS[table], rows)
            await self._put_hot(batch.hot)
        self._sealed = audit[-1][-1] if audit else self._sealed
        self.ts_event = int(batch.hot.get(_DATA_TIME, self.ts_event))

    async def trim(self, trim: Trim, at: int) -> int:
        """How many bars went. `at` is the position that this recorder believes in."""
        done: str = await self._connection.execute(TRIM, *trim, at)
        return int(done.removeprefix("DELETE "))

    async def ping(self) -> None:
        """Raises when PostgreSQL has gone."""
        await self._connection.execute("SELECT 1", timeout=PING_TIMEOUT_S)

    async def _put_hot(self, hot: Mapping[tuple[str, str], str]) -> None:
        if hot:
            hashes, fields = zip(*hot, strict=True)
            await self._connection.execute(_HOT, hashes, fields, list(hot.values()))

    async def _copy(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            await self._connection.copy_records_to_table(table, records=rows, columns=columns)


async def begin_anew(connection: asyncpg.Connection, after: int) -> None:
    """Forgets the former run: a tape emptied at sequence `after` takes its place. Runs, the audit log and the history of parameters stay."""
    former = ", ".join(sorted({"tape", "hot_state", "dead_letters", "order_intents", *COLUMNS} - _KEPT))
    async with connection.transaction():
        await connection.execute(f"TRUNCATE {former}")
        await connection.execute("UPDATE recorder_position SET seq = $1, digest = ''", after)


async def hot_state(connection: asyncpg.Connection) -> dict[tuple[str, str], str]:
    """All of it, as of the last commit."""
    rows = await connection.fetch("SELECT hash, field, value FROM hot_state")
    return {(row["hash"], row["field"]): row["value"] for row in rows}
