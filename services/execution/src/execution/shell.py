"""What execution needs of the outside world: a journal for intents, the venue, and an ear on guardian and tape."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from common.core import Core, Effect
from common.errors import ConfigError, TapeError
from common.messages.orders import GuardianLost, IntentFailed, IntentRecorded
from common.messages.venue import NotFound, NotReceived, Report, Request, VenueConnection, VenueReported
from common.model.enums import DenyCode
from common.model.parties import GUARDIAN
from common.runtime import metrics
from common.runtime.service import Shell
from common.runtime.session import Outside, Session
from common.runtime.tape import Tape
from execution.adapters import registry
from execution.adapters.venue import Connection, Venue
from execution.effects import AmendAtVenue, CancelAtVenue, QueryOrder, RecordIntent, SendOrder, TakeSnapshot
from execution.journal import UNRECORDED, Journal
from execution.report_keys import answer_key, report_key
from execution.settings import Settings
from execution.state import State
from execution.tape_loss import TapeLoss
from execution.venue_settings import PAPER, check_venue

ANYBODY: Final = "*"
_WATCH_EVERY_S: Final = 0.1
_SNAPSHOT_AGAIN_S: Final = 0.5


class ExecutionShell(Shell):
    """Answers every effect of the core: intents by the journal, the others by the venue.

    This is also the dead-man's switch (docs/adr/0004), in both directions. Without the guardian's heartbeat nothing that adds
    risk is recorded or sent. Without the tape nothing is sent at all, and after a while all orders are canceled. Clocks are
    looked at here; the core learns the outcome from the tape.

    Raises ConfigError for a venue that is not allowed, or retries that could double an order.
    """

    def __init__(self, settings: Settings, dsn: str, tape_loss: TapeLoss) -> None:
        _check(settings)
        self.effects = self._answer
        self._settings = settings
        self._journal = Journal(dsn)
        self._tape_loss = tape_loss
        self._session: Session | None = None
        self._tape: Tape | None = None
        self._venue: Venue | None = None
        self._started = time.monotonic()
        self._heard_ns = 0
        self._heard = asyncio.Event()
        self._guardian_lost = False
        self._ticks_of_silence = 0
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    # --- the session ---------------------------------------------------------------------------------

    async def stand_by(self, session: Session, tape: Tape) -> None:
        self._tape_loss.found()
        self._session, self._tape = session, tape
        self._venue = registry.make(self._settings.venue, self._settings.connection, session)
        await tape.listen(GUARDIAN, self._on_guardian)
        await tape.listen(ANYBODY, self._on_anybody)

    async def start(self, session: Session, tape: Tape) -> None:
        self._spawn(self._watch(session))
        if self._venue is not None:
            self._spawn(self._venue.listen(self._on_venue))

    def observe(self, core: Core) -> None:
        state: State = core.state
        paper = self._settings.venue == PAPER
        metrics.WORKING_ORDERS.set(sum(order.ts_submitted > 0 for order in state.orders.values()))
        metrics.BREAKS_OPEN.set(len(state.reconciliation.breaks))
        metrics.VENUE_HEALTHY.labels(self._settings.venue).set(paper or state.connection.usable)

    async def stop(self) -> None:
        self._over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._journal.close()
        if self._venue is None:
            return
        if self._tasks and self._tape_is_lost():
            self._lost_tape(self._venue, self._settings.connection.cancel_after_tape_loss_s)
        if self._tape_loss.gone:
            self._tape_loss.close_when_over(self._venue)
        else:
            await self._venue.close()

    def _tape_is_lost(self) -> bool:
        """A service that is asked to stop leaves its orders at work, as does one that ends by a bug and is started again."""
        broken = self._tape.broken if self._tape else None
        return broken is not None and broken.done() and isinstance(broken.result(), TapeError)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(self._failed)
        self._tasks.append(task)

    def _failed(self, task: asyncio.Task[None]) -> None:
        """What fails beside the session ends it."""
        broken = self._tape.broken if self._tape else None
        if not task.cancelled() and (error := task.exception()) and broken is not None and not broken.done():
            broken.set_result(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    # --- effects -------------------------------------------------------------------------------------

    async def _answer(self, effect: Effect) -> Outside:
        match effect:
            case RecordIntent():
                return await self._record(effect)
            case TakeSnapshot():
                return await self._take_snapshot(effect)
            case SendOrder(order=order):
                return await self._ask(effect, Request.SEND, order.client_order_id, lambda venue: venue.send(order))
            case CancelAtVenue(client_order_id=name, venue_order_id=at_venue, instrument_id=instrument):
                return await self._ask(effect, Request.CANCEL, name, lambda v: v.cancel(name, at_venue, instrument))
            case AmendAtVenue(order=order, venue_order_id=at_venue):
                return await self._ask(
                    effect, Request.AMEND, order.client_order_id, lambda venue: venue.amend(order, at_venue)
                )
            case QueryOrder(client_order_id=name, held_back=True):
                return await self._ask(effect, Request.QUERY, name, lambda venue: _never_sent(name))
            case QueryOrder(client_order_id=name, instrument_id=instrument):
                return await self._ask(effect, Request.QUERY, name, lambda venue: venue.query(name, instrument))
        raise TypeError(f"execution's shell cannot answer {type(effect).__name__}")

    async def _record(self, effect: RecordIntent) -> Outside:
        order_id = effect.order.client_order_id
        if not await self._guardian_alive():
            return _not_recorded(effect, DenyCode.GUARDIAN_SILENT, f"guardian silent for {self._silent_s():.1f} s")
        try:
            intent = msgspec.json.encode(effect.order).decode()
            async with asyncio.timeout(self._settings.intent_timeout_s):
                await self._journal.write_patiently(order_id, effect.ts_event, intent)
        except UNRECORDED as error:
            await self._journal.close()
            return _not_recorded(effect, DenyCode.INTENT_NOT_RECORDED, f"PostgreSQL: {error or type(error).__name__}")
        return Outside(order_id, IntentRecorded(ts_event=effect.ts_event, client_order_id=order_id))

    async def _ask(
        self, effect: VenueEffect, request: Request, order_id: str, ask: Callable[[Venue], Awaitable[Report]]
    ) -> Outside:
        assert self._venue is not None
        if effect.delay_s > 0:
            await asyncio.sleep(effect.delay_s)
        reason = self._why_not(effect)
        report = (
            NotReceived(client_order_id=order_id, request=request, reason=reason) if reason else await ask(self._venue)
        )
        return Outside(answer_key(report, request, effect.attempt), _reported(report))

    def _why_not(self, effect: VenueEffect) -> str:
        """Why it must not be asked now, empty when it may. Raises TapeError when nobody would hear the answer."""
        self._require_session()
        adds = isinstance(effect, SendOrder | AmendAtVenue) and not effect.order.reduce_only
        if adds and not self._hears_guardian():
            return f"guardian silent for {self._silent_s():.1f} s"
        return ""

    def _require_session(self) -> None:
        if self._over or self._tape_loss.gone:
            raise TapeError("the session is over")

    async def _take_snapshot(self, effect: TakeSnapshot) -> Outside:
        assert self._venue is not None
        await asyncio.sleep(effect.delay_s)
        while (found := await self._venue.snapshot(effect.number, time.time_ns())) is None:
            await asyncio.sleep(_SNAPSHOT_AGAIN_S)
            self._require_session()
        return Outside(str(effect.number), found)

    # --- what is heard -------------------------------------------------------------------------------

    async def _on_venue(self, what: Report | Connection) -> None:
        if isinstance(what, Connection):
            await self._tell(Outside(str(time.time_ns()), _connection(self._settings.venue, what)))
        else:
            await self._tell(Outside(report_key(what), _reported(what)))

    async def _tell(self, outside: Outside) -> None:
        """A tape that is gone is noticed by its own session; what could not be said then, the next one's snapshot will tell."""
        assert self._session is not None
        with contextlib.suppress(TapeError):
            await self._session.tell(outside)

    def _on_anybody(self, payload: bytes) -> None:
        self._ticks_of_silence = 0

    def _on_guardian(self, payload: bytes) -> None:
        self._heard_ns = time.monotonic_ns()
        self._guardian_lost = False
        self._heard.set()

    async def _guardian_alive(self) -> bool:
        """A process that has just started has heard nothing yet: it waits for the first heartbeat, but no longer."""
        if not self._heard_ns:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), self._settings.guardian_timeout_s)
        return self._hears_guardian()

    def _hears_guardian(self) -> bool:
        return self._heard_ns > 0 and self._silent_s() <= self._settings.guardian_timeout_s

    def _silent_s(self) -> float:
        since = self._heard_ns / 1e9 if self._heard_ns else self._started
        return time.monotonic() - since

    # --- the dead-man's switch -----------------------------------------------------------------------

    async def _watch(self, session: Session) -> None:
        while True:
            await asyncio.sleep(_WATCH_EVERY_S)
            metrics.GUARDIAN_AGE.set(self._silent_s())
            self._watch_tape()
            await self._watch_guardian(session)

    def _watch_tape(self) -> None:
        """Somebody beats four times a second, we ourselves at least. Counted in ticks of this loop: when the whole process has
        been frozen, it is not the tape that was silent.
        """
        if self._venue is None:
            return
        self._ticks_of_silence += 1
        if self._ticks_of_silence * _WATCH_EVERY_S > self._settings.connection.cancel_after_tape_loss_s:
            self._lost_tape(self._venue, 0.0)
        elif self._ticks_of_silence == 1:
            self._tape_loss.found()

    def _lost_tape(self, venue: Venue, after_s: float) -> None:
        self._tape_loss.lost(venue, after_s, settle_s=self._settings.connection.request_timeout_s)

    async def _watch_guardian(self, session: Session) -> None:
        """Working orders that add risk do not outlive the guardian for long."""
        silent = self._silent_s()
        if silent > self._settings.cancel_after_silence_s and not self._guardian_lost and not session.recovering:
            self._guardian_lost = True
            now = time.time_ns()
            await session.tell(Outside(str(now), GuardianLost(ts_event=now, silent_s=round(silent, 1))))


def _check(settings: Settings) -> None:
    check_venue(settings.venue, settings.connection)
    retry, valid_s = settings.retry, settings.connection.request_timeout_s
    if settings.venue != PAPER and (retry.not_found_confirmations - 1) * retry.not_found_spacing_s < valid_s:
        raise ConfigError(
            f"execution.retry.not_found_spacing_s = {retry.not_found_spacing_s:g}: with {retry.not_found_confirmations}"
            f" confirmations less than execution.connection.request_timeout_s = {valid_s:g}: a request that is still on its"
            " way could be taken for lost and sent again"
        )


VenueEffect = SendOrder | CancelAtVenue | AmendAtVenue | QueryOrder


def _not_recorded(effect: RecordIntent, code: DenyCode, detail: str) -> Outside:
    order_id = effect.order.client_order_id
    failed = IntentFailed(ts_event=effect.ts_event, client_order_id=order_id, code=code, detail=detail)
    return Outside(order_id, failed)


async def _never_sent(client_order_id: str) -> Report:
    return NotFound(client_order_id=client_order_id)


def _reported(report: Report) -> VenueReported:
    return VenueReported(ts_event=time.time_ns(), report=report)


def _connection(venue: str, now: Connection) -> VenueConnection:
    return VenueConnection(
        ts_event=time.time_ns(),
        venue=venue,
        connected=now.connected,
        breaker_open=now.breaker_open,
        failures=now.failures,
        reason=now.reason,
    )
