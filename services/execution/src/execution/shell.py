"""What execution needs of the outside world: a journal for intents, and an ear on the guardian."""

from __future__ import annotations

import asyncio
import time
from typing import Final, NamedTuple

import asyncpg
import msgspec

from common.core import Effect
from common.messages.base import Message
from common.messages.orders import GuardianLost, IntentFailed, IntentRecorded
from common.model.enums import DenyCode
from common.runtime.service import Shell
from common.runtime.session import Outside, Session
from common.runtime.tape import Tape
from execution.core import GUARDIAN, RecordIntent
from execution.settings import Settings

UNRECORDED: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
_WATCH_EVERY_S: Final = 0.25
_RETRY_AFTER_S: Final = 0.1
_INSERT: Final = """
    INSERT INTO order_intents (client_order_id, ts_event, intent) VALUES ($1, $2, $3)
    ON CONFLICT (client_order_id) DO UPDATE SET ts_event = excluded.ts_event, intent = excluded.intent
"""


class ExecutionShell(Shell):
    """Answers `RecordIntent`: recorded and committed, with a guardian that is alive; or failed, with the reason.

    This is the dead-man's switch (docs/adr/0004): clocks are looked at here, and the core learns the outcome from the tape.
    """

    def __init__(self, settings: Settings, dsn: str) -> None:
        self.effects = self._answer
        self._settings = settings
        self._journal = Journal(dsn)
        self._heard_ns = 0
        self._started = time.monotonic()
        self._heard = asyncio.Event()
        self._lost = False
        self._watcher: asyncio.Task[None] | None = None

    async def start(self, session: Session, tape: Tape) -> None:
        await tape.listen(GUARDIAN, self._on_heartbeat)
        self._watcher = asyncio.create_task(self._watch(session))

    async def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        await self._journal.close()

    def _on_heartbeat(self, payload: bytes) -> None:
        self._heard_ns = time.monotonic_ns()
        self._lost = False
        self._heard.set()

    async def _answer(self, effect: Effect) -> Outside:
        assert isinstance(effect, RecordIntent)
        order_id = effect.order.client_order_id
        if not await self._guardian_alive():
            return _failed(effect, DenyCode.GUARDIAN_SILENT, f"guardian silent for {self._silent_s():.1f} s")
        try:
            intent = msgspec.json.encode(effect.order).decode()
            async with asyncio.timeout(self._settings.intent_timeout_s):
                await self._journal.write_patiently(order_id, effect.ts_event, intent)
        except UNRECORDED as error:
            await self._journal.close()
            return _failed(effect, DenyCode.INTENT_NOT_RECORDED, f"PostgreSQL: {error or type(error).__name__}")
        return _told(effect, IntentRecorded(ts_event=effect.ts_event, client_order_id=order_id))

    async def _guardian_alive(self) -> bool:
        """A process that has just started has heard nothing yet: it waits for the first heartbeat, but no longer."""
        if not self._heard_ns:
            try:
                await asyncio.wait_for(self._heard.wait(), self._settings.guardian_timeout_s)
            except TimeoutError:
                return False
        return self._silent_s() <= self._settings.guardian_timeout_s

    def _silent_s(self) -> float:
        since = self._heard_ns / 1e9 if self._heard_ns else self._started
        return time.monotonic() - since

    async def _watch(self, session: Session) -> None:
        """Working orders that add risk do not outlive the guardian for long."""
        while True:
            await asyncio.sleep(_WATCH_EVERY_S)
            silent = self._silent_s()
            if silent > self._settings.cancel_after_silence_s and not self._lost and not session.recovering:
                self._lost = True
                now = time.time_ns()
                await session.tell(Outside(str(now), GuardianLost(ts_event=now, silent_s=round(silent, 1))))


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


def _failed(effect: RecordIntent, code: DenyCode, detail: str) -> Outside:
    order_id = effect.order.client_order_id
    return _told(effect, IntentFailed(ts_event=effect.ts_event, client_order_id=order_id, code=code, detail=detail))


def _told(effect: RecordIntent, message: Message) -> Outside:
    return Outside(effect.order.client_order_id, message)
