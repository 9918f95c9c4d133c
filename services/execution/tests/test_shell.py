"""The shell between a real core, a tape in memory and the reference venue on loopback HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from support.venues import QUICK, ReferenceDesk, order, reference_desk, until

from common.errors import ConfigError, TapeError
from common.messages import (
    InstrumentsDefined,
    IntentFailed,
    IntentRecorded,
    MarketSlice,
    OrderApproved,
    OrderDenied,
    OrderFilled,
    ServiceStarted,
    VenueConnection,
    VenueReported,
    VenueSnapshot,
)
from common.messages.base import Message
from common.messages.venue import Accepted, Canceled, NotFound, NotReceived, Request, Status, Traded
from common.model.account import Account
from common.model.enums import DenyCode
from common.model.instrument import Instrument
from common.model.parties import GUARDIAN
from common.runtime.codec import decode, decode_envelope
from common.runtime.memory_tape import MemoryLog, MemoryTape
from common.runtime.session import Outside, Session, envelope
from common.runtime.subjects import subject
from common.testing.builders import EUR_USD, T0, a
from execution.core import Execution
from execution.effects import CancelAtVenue, QueryOrder, RecordIntent, SendOrder, TakeSnapshot
from execution.reference_venue.behavior import Fault, Rule
from execution.settings import RetrySettings, Settings
from execution.shell import ExecutionShell
from execution.tape_loss import TapeLoss

NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"
WITHIN_S = 0.4


class Life:
    """One session of execution; the guardian and we ourselves beat until told otherwise."""

    def __init__(self, log: MemoryLog, desk: ReferenceDesk, tape_loss: TapeLoss, **settings: Any) -> None:
        connection = msgspec.structs.replace(desk.settings, cancel_after_tape_loss_s=WITHIN_S)
        chosen = Settings(
            **{"venue": "reference", "connection": connection, "guardian_timeout_s": 60.0, "intent_timeout_s": 0.2}
            | settings
        )
        self.log = log
        self.desk = desk
        self.tape = MemoryTape(log)
        self.shell = ExecutionShell(chosen, NO_DATABASE, tape_loss)
        self.session = Session("execution", Execution(chosen, Account()), self.tape, mark="m", effects=self.answer)
        self.beating = {GUARDIAN, "execution"}
        self._hearts = asyncio.create_task(self._beat())

    async def begin(self) -> None:
        await self.shell.stand_by(self.session, self.tape)
        await self.session.start()
        await self.shell.start(self.session, self.tape)
        await until(lambda: self.connected, "the venue is connected")

    async def answer(self, effect: Any) -> Outside:
        """The shell's, but for the database that is not there."""
        if isinstance(effect, RecordIntent):
            name = effect.order.client_order_id
            return Outside(name, IntentRecorded(ts_event=effect.ts_event, client_order_id=name))
        return await self.shell.effects(effect)

    async def hear(self, service: str, message: Message) -> None:
        """Somebody says so."""
        sealed = envelope(service, message, f"{service}:{len(self.log.entries)}", cause=None)
        await self.tape.append(subject(message), sealed)

    async def ask(self, effect: Any) -> Message:
        """What the shell answers, put on the tape as the session would."""
        outside = await self.shell.effects(effect)
        await self.session.tell(outside)
        return outside.message

    async def end(self, why: Exception | None = None) -> None:
        """Without a reason: gracefully."""
        if why is not None:
            self.tape.broken.set_result(why)
        await self.shell.stop()
        self._hearts.cancel()
        await self.tape.close()

    @property
    def connected(self) -> bool:
        return any(message.connected for message in self.said(VenueConnection))

    def said(self, kind: type[Any]) -> list[Any]:
        """Of this kind on the tape."""
        found = [decode(decode_envelope(entry.payload)) for entry in self.log.entries]
        return [message for message in found if isinstance(message, kind)]

    def reports(self, kind: type[Any]) -> list[Any]:
        return [message.report for message in self.said(VenueReported) if isinstance(message.report, kind)]

    async def _beat(self) -> None:
        while True:
            for service in sorted(self.beating):
                await self.tape.beat(service, b"{}")
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def life(connection_changes: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Life]:
    connection = msgspec.structs.replace(QUICK, **(connection_changes or {}))
    async with reference_desk(connection, listen=False) as desk:
        one = Life(MemoryLog(), desk, TapeLoss(), **settings)
        await one.begin()
        yield one
        if not one.shell._over:
            await one.end()


def sending(client_order_id: str = "o1", *, delay_s: float = 0.0, **changes: Any) -> SendOrder:
    return SendOrder(order=order(client_order_id, **changes), attempt=1, delay_s=delay_s)


def working(desk: ReferenceDesk) -> int:
    return len(desk.reference.exchange.account().orders)


@pytest.mark.req("EXE-01")
async def test_what_is_answered_and_pushed_and_pushed_again_is_on_the_tape_once():
    async with life() as one:
        await one.desk.behave(Rule(fault=Fault.REPORT_TWICE, rate=1.0))
        answer = await one.ask(sending())
        await one.ask(sending("o2", limit="1.05"))
        await one.ask(CancelAtVenue(client_order_id="o2", venue_order_id="R2", instrument_id=EUR_USD, attempt=3))
        await until(lambda: one.reports(Canceled) != [] and one.reports(Traded) != [], "the pushes are there")
        await asyncio.sleep(0.1)
        assert isinstance(answer, VenueReported)
        assert [report.client_order_id for report in one.reports(Accepted)] == ["o1", "o2"]
        assert [report.client_order_id for report in one.reports(Traded)] == ["o1"]
        assert [report.client_order_id for report in one.reports(Canceled)] == ["o2"]


@pytest.mark.req("EXE-02")
async def test_every_attempt_has_an_answer_of_its_own():
    async with life() as one:
        for attempt in (1, 2, 2):
            await one.ask(QueryOrder(client_order_id="o1", instrument_id=EUR_USD, attempt=attempt))
        assert len(one.said(VenueReported)) == 2


@pytest.mark.req("EXE-02")
async def test_a_request_waits_as_long_as_the_core_says():
    async with life() as one:
        started = time.monotonic()
        await one.ask(QueryOrder(client_order_id="o1", instrument_id=EUR_USD, attempt=1, delay_s=0.15))
        assert time.monotonic() - started >= 0.15


@pytest.mark.req("EXE-02")
async def test_what_we_held_back_ourselves_is_not_asked_about_at_the_venue_but_waits():
    async with life() as one:
        before = (await one.desk.audit())["summary"]["requests"]
        started = time.monotonic()
        effect = QueryOrder(client_order_id="o1", instrument_id=EUR_USD, attempt=2, delay_s=0.15, held_back=True)
        answer = await one.ask(effect)
        assert isinstance(answer, VenueReported)
        assert isinstance(answer.report, NotFound)
        assert time.monotonic() - started >= 0.15
        assert (await one.desk.audit())["summary"]["requests"] == before


@pytest.mark.req("EXE-01", "EXE-02")
@pytest.mark.parametrize(
    ("many", "bounds"),
    [
        (120, {"burst": 8, "rate_per_s": 50.0, "max_failures": 1000, "request_timeout_s": 1.0}),
        (60, {"max_in_flight": 4, "request_timeout_s": 1.0}),
    ],
)
async def test_a_burst_beyond_our_own_limits_reaches_the_venue_whole_and_none_of_it_is_denied(
    many: int, bounds: dict[str, Any]
):
    retry = RetrySettings(max_attempts=2, not_found_spacing_s=1.0)
    async with life(connection_changes=bounds, retry=retry) as one:
        await one.hear("market_data", a(InstrumentsDefined, instruments=(a(Instrument),)))
        await one.hear("market_data", MarketSlice(ts_event=T0, book="fx", step=1))
        for ours in one.said(ServiceStarted):  # the guardian is of the same build
            await one.hear(GUARDIAN, msgspec.structs.replace(ours, service=GUARDIAN))
        await until(lambda: bool(one.said(VenueSnapshot)), "our book has been compared")
        if "max_in_flight" in bounds:  # the first of them keep what there is of room longer than others wait
            await one.desk.behave(Rule(fault=Fault.SLOW, on=Request.SEND, count=9), slow_s=0.6)
        for number in range(many):
            approved = OrderApproved(ts_event=T0, order=order(f"o{number}", algorithm=None), step=1)
            await one.hear(GUARDIAN, approved)
        sent = one.desk.reference.audit.summary
        await until(lambda: sent().accepted == many, "all are there", within_s=10.0)
        await until(lambda: len(one.said(OrderFilled)) == many, "all have traded", within_s=10.0)
        assert [report.held_back for report in one.reports(NotReceived)].count(True) > 0, "beyond our limits"
        assert one.said(OrderDenied) == []
        assert (sent().sends, sent().most_sends) == (many, 1)


@pytest.mark.req("RSK-09")
async def test_an_order_that_waits_for_room_when_the_session_ends_is_never_sent():
    async with life() as one:
        await one.desk.behave(Rule(fault=Fault.SLOW, on=Request.SEND, rate=1.0), slow_s=0.45)
        room = one.desk.settings.max_in_flight - one.desk.settings.max_in_flight // 4
        asked = [asyncio.create_task(one.shell.effects(sending(f"o{number}"))) for number in range(room + 1)]
        while (await one.desk.audit())["summary"]["sends"] < room:  # noqa: ASYNC110 (another process counts)
            await asyncio.sleep(0.01)
        await one.end()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(answers[-1], Outside)
        assert isinstance(answers[-1].message, VenueReported)
        assert isinstance(answers[-1].message.report, NotReceived)
        assert (await one.desk.audit())["summary"]["sends"] == room


@pytest.mark.req("RSK-02")
async def test_without_the_guardian_nothing_goes_out_that_adds_risk_but_exits_and_cancels_do():
    async with life(guardian_timeout_s=1.0) as one:
        await one.ask(sending("resting", limit="1.05"))
        one.beating.discard(GUARDIAN)
        await asyncio.sleep(1.1)
        refused = await one.ask(sending("more"))
        assert isinstance(refused, VenueReported)
        assert isinstance(refused.report, NotReceived)
        assert refused.report.request is Request.SEND
        assert "guardian silent" in refused.report.reason
        unrecorded = await one.ask(RecordIntent(order=order("more"), ts_event=1))
        assert isinstance(unrecorded, IntentFailed)
        assert unrecorded.code is DenyCode.GUARDIAN_SILENT
        await one.ask(sending("exit", signed_qty=-50, reduce_only=True))
        await one.ask(CancelAtVenue(client_order_id="resting", venue_order_id="R1", instrument_id=EUR_USD, attempt=2))
        sent = {
            entry["client_order_id"] for entry in (await one.desk.audit())["requests"] if entry["request"] == "SEND"
        }
        assert sent == {"resting", "exit"}
        assert working(one.desk) == 0


@pytest.mark.req("EXE-01")
async def test_without_a_journal_an_intent_fails():
    async with life() as one:
        failed = await one.ask(RecordIntent(order=order(), ts_event=1))
        assert isinstance(failed, IntentFailed)
        assert failed.code is DenyCode.INTENT_NOT_RECORDED


@pytest.mark.req("EXE-01")
async def test_a_snapshot_comes_as_soon_as_the_venue_gives_one():
    async with life() as one:
        await one.desk.behave(Rule(fault=Fault.ERROR_BEFORE, on=Request.QUERY, count=1))
        snapshot = await one.ask(TakeSnapshot(number=7))
        assert isinstance(snapshot, VenueSnapshot)
        assert (snapshot.number, snapshot.cash) == (7, {"USD": Decimal(100_000)})


@pytest.mark.req("EXE-02")
async def test_changes_of_the_connection_are_on_the_tape():
    async with life() as one:
        one.desk.reference.feed.disconnect()
        await until(lambda: len(one.said(VenueConnection)) >= 3, "down and up again")
        assert [message.connected for message in one.said(VenueConnection)] == [True, False, True]
        assert {message.venue for message in one.said(VenueConnection)} == {"reference"}


# --- the tape is gone ----------------------------------------------------------------------------------


@pytest.mark.req("RSK-09")
async def test_with_the_tape_gone_everything_is_canceled_at_the_venue_within_two_seconds():
    async with life() as one:
        for number in range(3):
            await one.ask(sending(f"o{number}", limit="1.05"))
        lost = time.monotonic()
        await one.end(TapeError("connection lost"))
        assert working(one.desk) == 3, "not before the tape had time to come back"
        await until(lambda: working(one.desk) == 0, "all is canceled", within_s=2.0)
        assert WITHIN_S <= time.monotonic() - lost < 2.0


@pytest.mark.req("RSK-09")
async def test_a_venue_in_trouble_is_asked_to_cancel_until_it_has():
    async with life() as one:
        await one.ask(sending(limit="1.05"))
        await one.desk.behave(Rule(fault=Fault.ERROR_BEFORE, on=Request.CANCEL, count=2))
        await one.end(TapeError("connection lost"))
        await until(lambda: working(one.desk) == 0, "all is canceled", within_s=2.0)
        asked = [entry["done"] for entry in (await one.desk.audit())["requests"] if entry["request"] == "CANCEL"]
        assert asked[:3] == [False, False, True], "twice in vain, then it has"


@pytest.mark.req("RSK-09")
async def test_a_tape_that_merely_says_nothing_is_gone_too_and_nothing_is_sent_meanwhile():
    async with life() as one:
        await one.ask(sending(limit="1.05"))
        one.beating.clear()
        await until(lambda: working(one.desk) == 0, "all is canceled", within_s=2.0)
        with pytest.raises(TapeError):
            await one.shell.effects(sending("late"))
        await until(lambda: one.reports(Canceled) != [], "and it is told, should the tape hear it")
        one.beating.add("execution")
        await asyncio.sleep(0.25)
        await one.ask(sending("later"))
        assert (await one.desk.audit())["summary"]["accepted"] == 2


@pytest.mark.parametrize("why", [None, RuntimeError("a bug")], ids=["asked to stop", "a bug"])
async def test_orders_stay_at_work_when_the_service_ends_and_the_tape_does_not(why: Exception | None):
    async with life() as one:
        await one.ask(sending(limit="1.05"))
        await one.end(why)
        await asyncio.sleep(WITHIN_S + 0.3)
        assert working(one.desk) == 1


async def test_a_tape_that_comes_back_in_time_finds_its_orders_at_work():
    async with life() as one:
        await one.ask(sending(limit="1.05"))
        await one.end(TapeError("leader gone"))
        second = Life(one.log, one.desk, one.shell._tape_loss)
        await second.begin()
        await asyncio.sleep(WITHIN_S + 0.3)
        assert working(one.desk) == 1
        found = await second.ask(QueryOrder(client_order_id="o1", instrument_id=EUR_USD, attempt=9))
        assert isinstance(found, VenueReported)
        assert isinstance(found.report, Status)
        await second.end()


@pytest.mark.req("EXE-01")
async def test_a_request_that_waits_when_the_session_ends_is_never_sent():
    async with life() as one:
        waiting = asyncio.create_task(one.shell.effects(sending(delay_s=0.2)))
        await asyncio.sleep(0.05)
        await one.end()
        with pytest.raises(TapeError):
            await waiting
        assert (await one.desk.audit())["summary"]["sends"] == 0


@pytest.mark.req("EXE-08")
def test_a_venue_that_could_be_real_is_refused_before_anything_begins():
    with pytest.raises(ConfigError, match="double confirmation"):
        ExecutionShell(Settings(venue="binance"), NO_DATABASE, TapeLoss())


@pytest.mark.req("EXE-02")
def test_a_request_must_be_void_before_it_counts_as_lost():
    hasty = Settings(venue="reference", retry=RetrySettings(not_found_spacing_s=0.1))
    with pytest.raises(ConfigError, match="sent again"):
        ExecutionShell(hasty, NO_DATABASE, TapeLoss())
    ExecutionShell(Settings(venue="reference"), NO_DATABASE, TapeLoss())
    ExecutionShell(msgspec.structs.replace(hasty, venue="paper"), NO_DATABASE, TapeLoss())
