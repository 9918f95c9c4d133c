"""The recorder's loop: one life per connection, started over from PostgreSQL's position whenever something breaks.

Exactly once without bookkeeping on the broker: rows and position are one transaction, and the position only moves from
where this recorder believes it to be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from common.contracts import DOMAINS
from common.errors import BallastError, TapeError
from common.runtime import metrics, redis
from common.runtime.heartbeat import keep_beating
from common.runtime.login import Login
from common.runtime.nats_tape import NatsTape
from common.runtime.postgres import Postgres, PostgresError
from common.runtime.service import Process, end
from common.runtime.settings import section
from common.runtime.tape import Record, Tape
from recorder import schema
from recorder.hot_window import HotWindow
from recorder.intake import batch_of, position, set_aside
from recorder.mirror import Hot, Mirror
from recorder.servers import Servers
from recorder.settings import Settings
from recorder.store import Batch, Position, Store, hot_state

QUEUE: Final = 10_000  # messages read ahead of the commits; beyond that the tape waits
BATCH: Final = 2_000
COMMIT_WITHIN_S: Final = 10.0
CONNECT_WITHIN_S: Final = 2.0
QUIET_S: Final = 1.0
RETRY_AFTER_S: Final = 0.25
EVERYTHING: Final = tuple(f"{domain}.>" for domain in DOMAINS)  # of versions this build does not know, too


class Recorder:
    """`run` returns when the process is asked to stop. Raises BallastError for what waiting does not mend."""

    def __init__(self, process: Process) -> None:
        self._process = process
        environment = process.environment
        self._login = Login.of(environment)
        self._postgres = Postgres(environment.postgres_dsn(), command_timeout_s=COMMIT_WITHIN_S)
        client = redis.client(environment.redis_url())
        self._mirror = Mirror(client, self._everything, process.log)
        self._tape: NatsTape | None = None
        # A connection of its own: what fails there must not end the one that records.
        self._asking = Postgres(environment.postgres_dsn(), size=1, read_only=True)
        self._servers = Servers(lambda: self._tape, client, self._asking, environment.home)
        self._position = Position(0, "")
        self._hot_days = section(process.config, "recorder", Settings).hot_days
        self._window = HotWindow(self._hot_days)
        self._has_schema = asyncio.Event()

    async def run(self) -> None:
        for server in ("nats", "postgresql"):
            metrics.REBUILDS.labels(server)
        beside = [asyncio.create_task(self._keep_mirroring()), asyncio.create_task(self._servers.watch())]
        stopping = asyncio.create_task(self._process.stopping.wait())
        try:
            while not stopping.done():
                await self._live_until_trouble(stopping, beside)
        finally:
            await asyncio.gather(*map(end, (*beside, stopping)))
            await self._asking.close()
            await self._postgres.close()

    async def _live_until_trouble(self, stopping: asyncio.Task[Any], beside: Sequence[asyncio.Task[Any]]) -> None:
        try:
            await self._one_life(stopping, beside)
        except (TapeError, PostgresError) as error:
            server = "nats" if isinstance(error, TapeError) else "postgresql"
            if self._process.health.waits_for.get(server) != str(error):
                self._process.log.warning("starting over", error=str(error))
            self._process.waits_for(server, str(error))
            metrics.REBUILDS.labels(server).inc()
            await asyncio.wait({stopping}, timeout=RETRY_AFTER_S)

    async def _one_life(self, stopping: asyncio.Task[Any], beside: Sequence[asyncio.Task[Any]]) -> None:
        self._tape = tape = await self._connect()
        work = [
            asyncio.create_task(keep_beating(tape, self._process.health, lambda: self._position.seq)),
            asyncio.create_task(self._record(tape)),
        ]
        try:
            await asyncio.wait({stopping, tape.broken, *beside, *work}, return_when=asyncio.FIRST_COMPLETED)
            if tape.broken.done():
                raise tape.broken.result()
            for task in (*beside, *work):
                if task.done():
                    task.result()
        finally:
            self._tape = None
            await asyncio.gather(*map(end, work))
            await tape.close()

    async def _connect(self) -> NatsTape:
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):  # the client alone would try for minutes before it says so
                return await NatsTape.connect(self._login)
        except TimeoutError:
            raise TapeError(f"{self._login.url}: no answer within {CONNECT_WITHIN_S:g} s") from None

    async def _record(self, tape: Tape) -> None:
        async with self._postgres.connection() as connection:
            came_from = await schema.migrate(connection)
            if came_from:
                self._process.log.info("schema migrated", came_from=came_from, now=schema.newest())
            self._has_schema.set()
            store = Store(connection)
            self._position = await store.open()
            self._window = HotWindow(self._hot_days)
            queue: asyncio.Queue[Record] = asyncio.Queue(QUEUE)
            waiting = await tape.read(EVERYTHING, self._position.first_to_read, queue.put)
            await self._recognize(queue, waiting)
            self._process.waits_for("", "")
            self._process.log.info("recording", after=self._position.seq, waiting=waiting)
            while True:
                if records := await _next(queue):
                    await self._write(store, records)
                else:
                    await store.ping()
                if trim := self._window.due(store.ts_event):
                    self._window.trimmed(trim, await store.trim(trim, self._position.seq))

    async def _recognize(self, queue: asyncio.Queue[Record], waiting: int) -> None:
        """The first message read is the last one recorded, or this is another tape than the one PostgreSQL tells of."""
        if not self._position.digest:
            return  # nothing recorded yet, or a tape begun anew behind this position
        if waiting and position(await queue.get()) == self._position:
            return
        raise BallastError(
            f"PostgreSQL holds a tape up to {self._position.seq}, but there is another message, or none, on this tape; "
            "give the new tape an empty database, or bring the old tape back"
        )

    async def _write(self, store: Store, records: list[Record]) -> None:
        """All at once; if PostgreSQL cannot take a value, one by one, and what it refuses is set aside."""
        try:
            await self._commit(store, batch_of(records, self._position.seq))
        except (asyncpg.DataError, ValueError, OverflowError):
            for record in records:
                try:
                    await self._commit(store, batch_of([record], self._position.seq))
                except (asyncpg.DataError, ValueError, OverflowError) as error:
                    await self._commit(store, set_aside(record, f"PostgreSQL cannot hold it: {error}"))
        metrics.LAG.set(records[-1].pending)

    async def _commit(self, store: Store, batch: Batch) -> None:
        with metrics.BATCH_SECONDS.time():
            await store.write(batch, self._position.seq)
        self._position = batch.position
        self._window.recorded(len(batch.rows.get("market_bars", ())))
        self._mirror.put(batch.hot)
        metrics.LAST_SEQ.set(batch.position.seq)
        for row in batch.tape:
            metrics.MESSAGES_IN.labels(row[3]).inc()
        for table, rows in batch.rows.items():
            metrics.ROWS.labels(table).inc(len(rows))
        for letter in batch.dead:
            metrics.DEAD_LETTERS.inc()
            self._process.log.error("dead letter", seq=letter.seq, reason=letter.reason)

    async def _keep_mirroring(self) -> None:
        await self._has_schema.wait()
        await self._mirror.run()

    async def _everything(self) -> Hot:
        async with self._postgres.connection() as connection:
            return await hot_state(connection)


async def _next(queue: asyncio.Queue[Record]) -> list[Record]:
    """While a batch commits the next one gathers: load makes batches large, quiet makes them fast. Empty after a second
    without any.
    """
    try:
        async with asyncio.timeout(QUIET_S):
            records = [await queue.get()]
    except TimeoutError:
        return []
    while len(records) < BATCH and not queue.empty():
        records.append(queue.get_nowait())
    return records
