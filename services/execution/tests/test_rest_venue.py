"""The reference venue misbehaves, its adapter does not: every kind of trouble is reported as what it is, nothing is sent twice."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from support.venues import QUICK, Holder, ReferenceDesk, order, reference_desk, traded_qty, trades, until

from common.errors import ConfigError
from common.messages.venue import (
    Accepted,
    AmendRefused,
    Canceled,
    CancelRefused,
    NotFound,
    NotReceived,
    OutcomeUnknown,
    Rejected,
    Report,
    Request,
    Status,
    Traded,
)
from common.testing.builders import EUR_USD, T0
from execution.adapters import registry
from execution.adapters.http_link import retry_after_s
from execution.adapters.rest import RestVenue
from execution.reference_venue.__main__ import main
from execution.reference_venue.behavior import Behavior, Fault, Rule
from execution.reference_venue.server import bind
from execution.report_keys import answer_key, report_key
from execution.venue_settings import VenueSettings, check_venue

pytestmark = pytest.mark.req("EXE-02")

UNKNOWN, UNTOUCHED = OutcomeUnknown, NotReceived
# fault: what a sending is answered with, and whether the venue has the order then
SENDINGS: dict[Fault, tuple[type[Any], bool]] = {
    Fault.TIMEOUT_BEFORE: (UNKNOWN, False),
    Fault.TIMEOUT_AFTER: (UNKNOWN, True),
    Fault.RESET_AFTER: (UNKNOWN, True),
    Fault.ERROR_BEFORE: (UNKNOWN, False),
    Fault.ERROR_AFTER: (UNKNOWN, True),
    Fault.GARBAGE_AFTER: (UNKNOWN, True),
    Fault.RATE_LIMIT: (UNTOUCHED, False),
    Fault.REJECT: (Rejected, False),
    Fault.SLOW: (Accepted, True),
}
Ask = Callable[[RestVenue], Awaitable[Report]]
OTHERS: dict[Request, tuple[Ask, type[Any]]] = {  # the request, and what a refusal of it is
    Request.CANCEL: (lambda venue: venue.cancel("o1", "R1", EUR_USD), CancelRefused),
    Request.AMEND: (lambda venue: venue.amend(order(limit="1.06"), "R1"), AmendRefused),
    Request.QUERY: (lambda venue: venue.query("o1", EUR_USD), OutcomeUnknown),
}


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[ReferenceDesk]:
    async with reference_desk() as one:
        yield one


@pytest.mark.parametrize("fault", SENDINGS)
async def test_what_a_fault_means_for_a_sending(desk: ReferenceDesk, fault: Fault):
    kind, arrived = SENDINGS[fault]
    await desk.behave(Rule(fault=fault, on=Request.SEND, count=1))
    answer = await desk.venue.send(order(limit="1.05"))
    assert type(answer) is kind
    found = await _asked(desk)
    assert isinstance(found, Status if arrived else NotFound), "and the query tells the truth"
    summary = (await desk.audit())["summary"]
    assert (summary["sends"], summary["accepted"]) == (1, int(arrived)), "the adapter sends once, whatever comes of it"


async def test_a_request_that_arrives_after_it_was_given_up_and_sent_again_is_not_a_second_order(desk: ReferenceDesk):
    await desk.behave(Rule(fault=Fault.ARRIVES_LATE, on=Request.SEND, count=1))
    assert isinstance(await desk.venue.send(order()), OutcomeUnknown)
    assert isinstance(await desk.venue.query("o1", EUR_USD), NotFound)
    assert isinstance(await desk.venue.send(order()), Accepted)
    await asyncio.sleep(0.2)
    assert traded_qty(desk.heard) == 100
    summary = (await desk.audit())["summary"]
    assert (summary["sends"], summary["accepted"], summary["duplicates"]) == (2, 1, 0)


async def test_a_request_that_arrives_after_it_was_given_up_is_void(desk: ReferenceDesk):
    await desk.behave(Rule(fault=Fault.ARRIVES_LATE, on=Request.SEND, count=1))
    assert isinstance(await desk.venue.send(order()), OutcomeUnknown)
    await asyncio.sleep(0.2)
    assert isinstance(await desk.venue.query("o1", EUR_USD), NotFound)
    assert (await desk.audit())["requests"][-2]["status"] == 403


async def test_the_venue_itself_keeps_ids_apart(desk: ReferenceDesk):
    await desk.venue.send(order())
    again = await desk.venue.send(order())
    assert isinstance(again, OutcomeUnknown), "whatever became of it, a query tells"
    assert (await desk.audit())["summary"]["duplicates"] == 1


async def _asked(desk: ReferenceDesk) -> Report:
    """As soon as the venue's pause is over."""
    found = await desk.venue.query("o1", EUR_USD)
    if isinstance(found, NotReceived):
        await asyncio.sleep(found.retry_after_s)
        found = await desk.venue.query("o1", EUR_USD)
    return found


@pytest.mark.parametrize("request_kind", OTHERS)
@pytest.mark.parametrize("fault", SENDINGS)
async def test_what_a_fault_means_for_any_other_request(desk: ReferenceDesk, request_kind: Request, fault: Fault):
    ask, refused = OTHERS[request_kind]
    await desk.venue.send(order(limit="1.05"))
    await desk.behave(Rule(fault=fault, on=request_kind, count=1))
    answer = await ask(desk.rest)
    expected = SENDINGS[fault][0]
    if fault is Fault.SLOW:
        assert not isinstance(answer, UNKNOWN | UNTOUCHED | refused)
        return
    assert type(answer) is (refused if expected is Rejected else expected)
    if isinstance(answer, UNKNOWN | UNTOUCHED):
        assert answer.request is request_kind
    asked = [(entry["request"], entry["client_order_id"]) for entry in (await desk.audit())["requests"]]
    assert asked.count((request_kind, "o1")) == 1


async def test_a_venue_that_wants_a_pause_gets_one(desk: ReferenceDesk):
    await desk.behave(Rule(fault=Fault.RATE_LIMIT, on=Request.SEND, count=1), retry_after_s=0.25)
    first = await desk.venue.send(order("o1"))
    second = await desk.venue.send(order("o2"))
    assert first == NotReceived(
        client_order_id="o1", request=Request.SEND, reason="the venue's rate limit", retry_after_s=0.25
    )
    assert isinstance(second, NotReceived)
    assert 0 < second.retry_after_s <= 0.25
    assert (await desk.audit())["summary"]["sends"] == 1
    await asyncio.sleep(second.retry_after_s)
    assert isinstance(await desk.venue.send(order("o2")), Accepted)


@given(st.text() | st.floats().map(str))
def test_any_retry_after_is_a_pause_one_can_live_with(value: str):
    assert 0 <= retry_after_s(value) <= 60


async def test_a_venue_that_is_not_there_has_received_nothing():
    listening, url = bind("127.0.0.1", 0)
    listening.close()
    venue = RestVenue(msgspec.structs.replace(QUICK, url=url), Holder())
    answers = [await venue.send(order()), *[await ask(venue) for ask, _ in OTHERS.values()]]
    assert [type(answer) for answer in answers] == [NotReceived] * 4
    assert await venue.snapshot(1, T0) is None
    assert not await venue.cancel_all()
    await venue.close()


# --- leases ------------------------------------------------------------------------------------------


@pytest.mark.req("PLT-12")
async def test_without_the_lease_nothing_is_sent(desk: ReferenceDesk):
    desk.fence.now = None
    before = (await desk.audit())["summary"]["requests"]
    answers = [await desk.venue.send(order()), *[await ask(desk.rest) for ask, _ in OTHERS.values()]]
    assert [type(answer) for answer in answers] == [NotReceived] * 4
    assert (await desk.audit())["summary"]["requests"] == before


@pytest.mark.req("PLT-12")
async def test_whoever_held_the_lease_before_is_refused_once_the_new_holder_has_spoken(desk: ReferenceDesk):
    successor = RestVenue(desk.settings, Holder(2))
    assert isinstance(await desk.venue.send(order("before")), Accepted)
    assert isinstance(await successor.query("before", EUR_USD), Status)
    answers = [await desk.venue.send(order("after")), *[await ask(desk.rest) for ask, _ in OTHERS.values()]]
    assert [type(answer) for answer in answers] == [NotReceived] * 4
    assert not await desk.venue.cancel_all(), "nor may it cancel what its successor has at work"
    summary = (await desk.audit())["summary"]
    assert (summary["accepted"], summary["stale_tokens"], summary["highest_token"]) == (1, 5, 2)
    await successor.close()


async def test_who_has_just_lost_the_lease_may_still_cancel_all(desk: ReferenceDesk):
    await desk.venue.send(order(limit="1.05"))
    desk.fence.now = None
    assert await desk.venue.cancel_all()
    await until(lambda: any(isinstance(report, Canceled) for report in desk.heard), "the cancel is heard")


# --- limits ------------------------------------------------------------------------------------------


async def test_beyond_our_own_rate_nothing_is_sent_but_cancels_have_tokens_kept_for_them():
    slow = msgspec.structs.replace(QUICK, rate_per_s=0.01, burst=8)
    async with reference_desk(slow, listen=False) as desk:
        answers = [await desk.venue.send(order(f"o{number}", limit="1.05")) for number in range(8)]
        assert [type(answer) for answer in answers] == [Accepted] * 6 + [NotReceived] * 2
        assert isinstance(await desk.venue.cancel("o1", "", EUR_USD), Canceled)
        assert (await desk.audit())["summary"]["sends"] == 6


SMALL = msgspec.structs.replace(QUICK, max_in_flight=8)  # six for orders and questions, two for cancels and exits
PATIENT = msgspec.structs.replace(SMALL, request_timeout_s=30)


async def test_no_more_requests_are_under_way_than_allowed_and_the_others_come_in_their_turn():
    async with reference_desk(PATIENT, listen=False) as desk:
        await desk.behave(Rule(fault=Fault.SLOW, rate=1.0), slow_s=0.05)
        asked = [asyncio.create_task(desk.venue.send(order(f"o{number}", limit="1.05"))) for number in range(18)]
        at_once = []
        while not all(task.done() for task in asked):
            at_once.append(len(desk.reference.audit.entries) - sum(task.done() for task in asked))
            await asyncio.sleep(0.002)
        assert max(at_once) == 6
        assert [type(task.result()) for task in asked] == [Accepted] * 18


async def test_cancels_and_exits_never_wait_behind_orders_and_questions():
    async with reference_desk(PATIENT, listen=False) as desk:
        await desk.venue.send(order("long"))
        await desk.venue.send(order("resting", limit="1.05"))
        await desk.behave(Rule(fault=Fault.SLOW, on=Request.SEND, count=6), slow_s=1.0)
        entries = [asyncio.create_task(desk.venue.send(order(f"o{number}"))) for number in range(12)]
        await until(lambda: len(desk.reference.audit.entries) == 2 + 6, "the slots of orders are taken")
        canceled = await desk.venue.cancel("resting", "", EUR_USD)
        left = await desk.venue.send(order("exit", -100, reduce_only=True))
        assert (type(canceled), type(left)) == (Canceled, Accepted)
        assert not any(task.done() for task in entries)
        await asyncio.gather(*entries)


async def test_who_waits_too_long_for_room_is_not_sent_and_it_is_no_failure_of_the_venue():
    smaller = msgspec.structs.replace(SMALL, max_in_flight=4, max_failures=1000, request_timeout_s=2.0)
    async with reference_desk(smaller, listen=False) as desk:
        await desk.behave(Rule(fault=Fault.SLOW, on=Request.SEND, rate=1.0), slow_s=1.3)
        answers = await asyncio.gather(*(desk.venue.send(order(f"o{number}")) for number in range(9)))
        late = [answer for answer in answers if isinstance(answer, NotReceived)]
        assert [type(answer) for answer in answers[:6]] == [Accepted] * 6
        assert [answer.held_back for answer in late] == [True] * 3
        assert (await desk.audit())["summary"]["sends"] == 6


@pytest.mark.parametrize("why", ["lease", "breaker", "canceled", "canceled all"])
async def test_who_waits_for_room_is_judged_again_when_there_is(why: str):
    careful = msgspec.structs.replace(PATIENT, max_failures=1, cool_down_s=60)
    async with reference_desk(careful, listen=False) as desk:
        await desk.behave(Rule(fault=Fault.SLOW, on=Request.SEND, count=6), slow_s=0.8)
        first = [asyncio.create_task(desk.venue.send(order(f"o{number}"))) for number in range(6)]
        await until(lambda: len(desk.reference.audit.entries) == 6, "the slots of orders are taken")
        waiting = asyncio.create_task(desk.venue.send(order("waits")))
        await asyncio.sleep(0.01)
        match why:
            case "lease":
                desk.fence.now = None
            case "breaker":
                await desk.behave(Rule(fault=Fault.ERROR_BEFORE, on=Request.CANCEL, count=1))
                await desk.venue.cancel("o0", "", EUR_USD)
            case "canceled":
                assert isinstance(await desk.venue.cancel("waits", "", EUR_USD), CancelRefused)
            case _:
                assert await desk.venue.cancel_all()
        refused = await waiting
        assert isinstance(refused, NotReceived)
        assert not refused.held_back, "it does not just come later"
        await asyncio.gather(*first)
        assert "waits" not in {
            entry["client_order_id"] for entry in (await desk.audit())["requests"] if entry["request"] == "SEND"
        }


async def test_who_gives_up_waiting_leaves_the_room_to_others():
    async with reference_desk(SMALL, listen=False) as desk:
        await desk.behave(Rule(fault=Fault.SLOW, on=Request.SEND, rate=1.0), slow_s=0.05)
        asked = [asyncio.create_task(desk.venue.send(order(f"o{number}"))) for number in range(18)]
        for delay_s in (0.01, 0.05):  # some wait, some are under way, some have just been let in
            await asyncio.sleep(delay_s)
            for task in asked[::2]:
                task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await asyncio.sleep(0.1)
        answers = await asyncio.gather(*(desk.venue.send(order(f"later{number}")) for number in range(6)))
        assert [type(answer) for answer in answers] == [Accepted] * 6
        assert all(not slots.locked() for slots in desk.rest._link._slots.values())


# --- many cancels ------------------------------------------------------------------------------------


async def test_cancels_of_the_same_moment_are_one_request_and_each_has_its_own_answer(desk: ReferenceDesk):
    for number in range(60):
        await desk.venue.send(order(f"o{number}", limit="1.05"))
    await desk.venue.send(order("traded"))
    names = ["traded", "never sent", *(f"o{number}" for number in range(60))]
    answers = await asyncio.gather(*(desk.venue.cancel(name, "", EUR_USD) for name in names))
    assert [type(answer) for answer in answers] == [CancelRefused] * 2 + [Canceled] * 60
    assert [answer.client_order_id for answer in answers] == names
    asked = [entry for entry in desk.reference.audit.entries if entry.request == Request.CANCEL]
    assert len(asked) == 62
    assert len({entry.at_ns for entry in asked}) == 2, "fifty at once"
    assert not desk.reference.exchange.account().orders


async def test_those_that_cancel_one_by_one_are_asked_one_by_one(desk: ReferenceDesk):
    for number in range(3):
        await desk.venue.send(order(f"o{number}", limit="1.05"))
        assert isinstance(await desk.venue.cancel(f"o{number}", "", EUR_USD), Canceled)
    asked = [entry for entry in desk.reference.audit.entries if entry.request == Request.CANCEL]
    assert len({entry.at_ns for entry in asked}) == 3


@pytest.mark.parametrize("fault", SENDINGS)
async def test_what_a_fault_means_for_many_cancels(desk: ReferenceDesk, fault: Fault):
    for number in range(3):
        await desk.venue.send(order(f"o{number}", limit="1.05"))
    await desk.behave(Rule(fault=fault, on=Request.CANCEL, count=1))
    kind, done = SENDINGS[fault]
    kind = {Rejected: CancelRefused, Accepted: Canceled}.get(kind, kind)
    answers = await asyncio.gather(*(desk.venue.cancel(f"o{number}", "", EUR_USD) for number in range(3)))
    assert [type(answer) for answer in answers] == [kind] * 3
    assert (not desk.reference.exchange.account().orders) is done


async def test_a_cancel_that_is_given_up_takes_no_other_along(desk: ReferenceDesk):
    for number in range(3):
        await desk.venue.send(order(f"o{number}", limit="1.05"))
    asked = [asyncio.create_task(desk.venue.cancel(f"o{number}", "", EUR_USD)) for number in range(3)]
    await asyncio.sleep(0)
    asked[0].cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers[1:]] == [Canceled] * 2


async def test_a_failing_venue_gets_no_more_orders_until_it_answers_again():
    careful = msgspec.structs.replace(QUICK, max_failures=3, cool_down_s=0.2)
    async with reference_desk(careful) as desk:
        await desk.venue.send(order("working", limit="1.05"))
        await desk.behave(Rule(fault=Fault.ERROR_BEFORE, rate=1.0))
        answers = [await desk.venue.send(order(f"o{number}")) for number in range(5)]
        assert [type(answer) for answer in answers] == [OutcomeUnknown] * 3 + [NotReceived] * 2
        assert desk.connections[-1].breaker_open
        assert desk.connections[-1].failures == 3
        assert (await desk.audit())["summary"]["sends"] == 4
        await asyncio.sleep(0.35)
        assert desk.connections[-1].breaker_open, "a probe that fails changes nothing"
        await desk.behave()
        assert isinstance(await desk.venue.cancel("working", "", EUR_USD), Canceled), "getting out is always tried"
        await until(lambda: not desk.connections[-1].breaker_open, "a probe has closed the breaker")
        assert isinstance(await desk.venue.send(order("after")), Accepted)


# --- reports -----------------------------------------------------------------------------------------


async def test_a_report_heard_twice_is_the_same_report(desk: ReferenceDesk):
    await desk.behave(Rule(fault=Fault.REPORT_TWICE, rate=1.0))
    answer = await desk.venue.send(order())
    await desk.settled()
    assert [type(report) for report in desk.heard] == [Accepted, Accepted, Traded, Traded]
    keys = {report_key(report) for report in desk.heard} | {answer_key(answer, Request.SEND, 1)}
    assert len(keys) == 2, "one acceptance, be it pushed or an answer, and one trade"


async def test_reports_may_come_before_what_they_follow_from(desk: ReferenceDesk):
    await desk.behave(Rule(fault=Fault.REPORTS_REVERSED, rate=1.0))
    await desk.venue.send(order())
    await desk.settled()
    assert [type(report) for report in desk.heard] == [Traded, Accepted]


async def test_an_order_may_fill_in_parts(desk: ReferenceDesk):
    await desk.behave(Rule(fault=Fault.IN_PARTS, count=1))
    await desk.venue.send(order(signed_qty=101))
    await desk.settled()
    assert traded_qty(desk.heard) == 50
    await desk.move("1.2")
    assert [str(trade.last_px) for trade in trades(desk.heard)] == ["1.1", "1.2"]
    assert traded_qty(desk.heard) == 101


@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_what_a_lost_report_said_is_asked_for(desk: ReferenceDesk, lost: int):
    await desk.venue.send(order("resting", limit="1.05"))
    await desk.settled()
    await desk.behave(Rule(fault=Fault.REPORT_LOST, count=lost))
    await desk.venue.send(order("first"))
    await desk.move("1.04")
    await desk.venue.send(order("last"))
    await desk.settled()
    for name in ("resting", "first", "last"):
        found = [report for report in desk.heard if isinstance(report, Status) and report.client_order_id == name]
        asked_for = [trade for status in found for trade in status.trades]
        assert traded_qty([*desk.heard, *asked_for], name) == 100


@pytest.mark.parametrize("faults", [0, 1])
async def test_what_happened_while_the_stream_was_down_is_asked_for(desk: ReferenceDesk, faults: int):
    await desk.venue.send(order("resting", limit="1.05"))
    await desk.settled()
    await desk.behave(Rule(fault=Fault.ERROR_BEFORE, on=Request.QUERY, count=faults))
    desk.reference.feed.disconnect()
    desk.reference.exchange.move({EUR_USD: order(limit="1.04").limit_px})
    desk.reference._publish()
    await until(lambda: not desk.connected, "the break is noticed")
    await until(lambda: desk.connected, "the stream is open again")
    [status] = [report for report in desk.heard if isinstance(report, Status) and not report.working]
    assert (status.client_order_id, status.final, len(status.trades)) == ("resting", "FILLED", 1)


async def test_orders_of_a_former_life_are_watched_over_too(desk: ReferenceDesk):
    await desk.venue.send(order("resting", limit="1.05"))
    await desk.settled()
    async with asyncio.TaskGroup() as tasks:
        heard: list[Any] = []

        async def hear(what: Any) -> None:
            heard.append(what)

        successor = RestVenue(desk.settings, Holder(2))
        listening = tasks.create_task(successor.listen(hear))
        await until(lambda: any(isinstance(what, Status) for what in heard), "it has looked at the account")
        listening.cancel()
    assert [what.client_order_id for what in heard if isinstance(what, Status)] == ["resting"]
    await successor.close()


async def test_a_venue_that_dies_and_comes_back_is_told_and_nothing_is_lost(desk: ReferenceDesk):
    for number in range(20):
        if number % 5 == 0:
            await desk.behave(Rule(fault=Fault.DISCONNECT, count=1), Rule(fault=Fault.REPORT_LOST, count=1))
        await desk.venue.send(order(f"o{number}"))
    await desk.settled()
    await until(lambda: not desk.rest.open_orders, "the end of every order has been heard of")
    said = [trade for report in desk.heard if isinstance(report, Status) for trade in report.trades]
    said += [report for report in desk.heard if isinstance(report, Traded)]
    assert {trade.trade_id for trade in said} == {trade.trade_id for trade in desk.reference.exchange.trades}


# --- what must not be ----------------------------------------------------------------------------------


@pytest.mark.req("EXE-08")
@pytest.mark.parametrize("name", ["binance", "kraken", "PAPER", ""])
def test_there_is_no_live_trading_yet(name: str):
    with pytest.raises(ConfigError, match="double confirmation"):
        check_venue(name, VenueSettings())


@pytest.mark.req("EXE-08")
@pytest.mark.parametrize("url", ["https://api.example.com", "http://192.0.2.1:80", "http://localhost:8300", "nonsense"])
def test_the_reference_venue_is_on_this_machine_or_nowhere(url: str):
    with pytest.raises(ConfigError, match=r"execution.connection.url"):
        registry.make("reference", VenueSettings(url=url), Holder())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com"])
def test_the_reference_venue_binds_loopback_only(host: str):
    with pytest.raises(ConfigError, match="loopback"):
        bind(host, 0)


def test_misbehavior_derives_from_its_seed():
    def strikes(seed: int) -> list[bool]:
        behavior = Behavior(rules=[Rule(fault=Fault.SLOW, rate=0.3)], seed=seed)
        return [behavior.strikes(Fault.SLOW) for _ in range(1000)]

    assert strikes(1) == strikes(1) != strikes(2)
    assert sum(strikes(1)) == pytest.approx(300, abs=60)


@pytest.mark.req("EXE-07")
async def test_from_sending_to_acknowledgement_is_a_matter_of_milliseconds(desk: ReferenceDesk):
    taken = []
    for number in range(300):
        started = time.perf_counter()
        assert isinstance(await desk.venue.send(order(f"o{number}")), Accepted)
        taken.append((time.perf_counter() - started) * 1e3)
    taken.sort()
    print(f"\nsend to acknowledgement over loopback HTTP: p50 {taken[150]:.2f} ms, p99 {taken[297]:.2f} ms")
    assert sum(taken) / len(taken) < 100


async def test_the_reference_venue_runs_as_a_process_of_its_own():
    command = (sys.executable, "-m", "execution.reference_venue", "--port", "0", "--price", f"{EUR_USD}=1.1")
    process = await asyncio.create_subprocess_exec(*command, "--cash", "USD=5", stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    url = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))["url"]
    venue = RestVenue(msgspec.structs.replace(QUICK, url=url), Holder())
    assert isinstance(await venue.send(order()), Accepted)
    snapshot = await venue.snapshot(1, T0)
    assert snapshot is not None
    assert snapshot.cash == {"USD": Decimal(-105)}
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 5) in (0, -15)
    await venue.close()


def test_the_reference_venue_says_what_is_wrong_with_its_arguments(capsys: pytest.CaptureFixture[str]):
    assert main(["--host", "0.0.0.0"]) == 78
    assert main(["--price", "EUR-USD"]) == 78
    assert "loopback" in capsys.readouterr().err
