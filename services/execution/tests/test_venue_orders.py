"""Orders at a venue outside: recorded, sent once, asked about before they are sent again, and gone when they shall be (EXE-01,
EXE-02).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from support.outside import Fate, Outside, order

from common.messages import (
    AmendApproved,
    AmendRejected,
    CancelOrder,
    CancelRejected,
    GuardianLost,
    OrderAmended,
    OrderDenied,
    OrderFilled,
    TradingStateChanged,
    VenueHealth,
)
from common.messages.orders import BreakKind
from common.messages.venue import Accepted, Canceled, NotFound, Rejected
from common.model.enums import DenyCode, OrderState, TradingState
from common.testing.builders import EUR_USD, a
from execution.effects import AmendAtVenue, CancelAtVenue, QueryOrder, RecordIntent, SendOrder, TakeSnapshot
from execution.retry import backoff_s
from execution.settings import RetrySettings
from execution.state import Break


def words(said: Any) -> list[str]:
    return [message.TYPE.split(".")[1] for message in said]


def asked(world: Outside) -> list[str]:
    return [type(effect).__name__ for effect in world.effects]


def sent(world: Outside, fate: Fate = Fate.OK, **changes: Any) -> Outside:
    """With an order recorded and sent, whatever becomes of that."""
    world.approve(**changes)
    world.all()
    world.all(fate)
    return world


@pytest.mark.req("EXE-01")
def test_an_order_is_recorded_then_sent_then_accepted_then_filled():
    world = Outside()
    assert world.approve() == []
    assert asked(world) == ["RecordIntent"]
    assert words(world.all()) == ["submitted"]
    (sending,) = world.effects
    assert isinstance(sending, SendOrder)
    assert (sending.order.client_order_id, sending.attempt, sending.delay_s) == ("o-1", 1, 0.0)
    assert words(world.all()) == ["accepted"]
    world.fill("o-1", 60)
    world.fill("o-1", 40)
    said = world.settle()
    assert [(m.last_qty, m.leaves_qty, m.fill_id) for m in said] == [(60, 40, "o-1-F1"), (40, 0, "o-1-F2")]
    assert world.core.state.orders == {}


@pytest.mark.req("EXE-01")
def test_a_fill_before_the_acceptance_says_both():
    world = Outside()
    world.approve()
    world.all()
    (sending,) = world.effects
    world._act(sending)
    world.fill("o-1", 60)
    assert words(world.report(world.mail[0])) == ["accepted", "filled"]
    assert words(world.report(Accepted(client_order_id="o-1", venue_order_id="V-o-1"))) == []
    assert world.report(world.mail[0]) == []


@pytest.mark.req("EXE-01")
def test_a_late_fill_of_a_canceled_order_is_booked_and_it_stays_canceled():
    world = sent(Outside())
    world.fill("o-1", 30)
    assert words(world.report(Canceled(client_order_id="o-1"))) == ["canceled"]
    (fill,) = world.report(world.mail[0])
    assert (fill.last_qty, fill.cum_qty, fill.leaves_qty) == (30, 30, 0)
    assert world.core.state.ledger.qty(fill.instrument_id) == 30
    assert world.core.state.finished["o-1"].state is OrderState.CANCELED
    assert world.report(world.mail[0]) == []


@pytest.mark.req("EXE-02")
def test_what_we_hold_back_ourselves_is_no_failure_of_the_venue_and_is_never_denied_for_it():
    world = sent(Outside(), Fate.HELD_BACK)
    for _ in range(50):
        (wait,) = world.effects
        assert isinstance(wait, QueryOrder)
        assert wait.held_back
        assert world.all() == []
        assert isinstance(world.effects[0], SendOrder)
        world.all(Fate.HELD_BACK)
    assert world.core.state.orders["o-1"].failures == 0
    assert words(world.settle()) == ["accepted"]
    assert world.created == {"o-1": 1}


@pytest.mark.req("EXE-02", "RSK-09")
def test_what_is_held_back_when_trading_is_halted_never_goes_out():
    world = sent(Outside(), Fate.HELD_BACK)
    assert words(world.halt()) == ["canceled"]
    world.settle()
    assert world.created == {}


@pytest.mark.req("EXE-02")
def test_cancels_and_amendments_that_are_held_back_come_later():
    world = sent(Outside(), limit_px=1.0)
    amended = a(AmendApproved, order=order(limit_px=1.05), step=world.step)
    world.hear(amended)
    for _ in range(50):
        world.all(Fate.HELD_BACK)
    assert words(world.settle()) == ["amended"]
    world.hear(a(CancelOrder, client_order_id="o-1"))
    for _ in range(50):
        world.all(Fate.HELD_BACK)
    assert words(world.settle()) == ["canceled"]


@pytest.mark.req("EXE-02")
def test_a_restart_asks_the_venue_about_what_was_held_back():
    world = sent(Outside(), Fate.HELD_BACK)
    world.restart()
    (question,) = [effect for effect in world.effects if isinstance(effect, QueryOrder)]
    assert not question.held_back
    assert "accepted" in words(world.settle())
    assert world.created == {"o-1": 1}


@pytest.mark.req("EXE-02")
def test_an_order_that_was_not_received_is_sent_again_after_a_wait_that_grows():
    world = sent(Outside(), Fate.NOT_RECEIVED)
    waits = []
    for _ in range(3):
        (question,) = world.effects
        assert isinstance(question, QueryOrder)
        waits.append(question.delay_s)
        world.all()
        (sending,) = world.effects
        assert isinstance(sending, SendOrder)
        assert sending.delay_s == 0.0
        world.all(Fate.NOT_RECEIVED)
    assert 0 < waits[0] < waits[1] < waits[2]
    world.settle()
    assert world.created == {"o-1": 1}


@pytest.mark.req("EXE-02")
def test_an_order_that_is_never_received_is_denied_in_the_end_but_an_exit_keeps_trying():
    world = Outside()
    sent(world)
    world.fill("o-1")
    world.settle()
    for name, changes in {"new": {}, "exit": {"signed_qty": -100, "reduce_only": True}}.items():
        world.approve(**{"client_order_id": name, **changes})
    world.all()
    said = [message for _ in range(20) for message in world.all(Fate.NOT_RECEIVED)]
    assert [(m.order.client_order_id, m.code) for m in said if isinstance(m, OrderDenied)] == [
        ("new", DenyCode.VENUE_DOWN)
    ]
    assert list(world.core.state.orders) == ["exit"]
    assert world.effects[0].delay_s <= world.settings.retry.cap_s
    world.settle()
    assert world.created == {"o-1": 1, "exit": 1}


@pytest.mark.req("EXE-02")
def test_the_venue_is_asked_before_an_order_of_unknown_outcome_is_sent_again():
    world = sent(Outside(), Fate.LOST)
    assert world.core.state.orders["o-1"].state is OrderState.UNKNOWN
    assert asked(world) == ["QueryOrder"]
    world.all()
    assert asked(world) == ["QueryOrder"]
    assert world.effects[0].delay_s == world.settings.retry.not_found_spacing_s
    world.all()
    (again,) = world.effects
    assert isinstance(again, SendOrder)
    assert again.order == order()
    world.all()
    assert world.created == {"o-1": 1}


@pytest.mark.req("EXE-01", "EXE-02")
def test_an_order_whose_acceptance_was_lost_is_found_with_its_fills_and_not_sent_again():
    world = sent(Outside(), Fate.ANSWER_LOST)
    world.fill("o-1", 60, mail=False)
    assert words(world.settle()) == ["accepted", "filled"]
    assert world.created == {"o-1": 1}
    world.fill("o-1", mail=False)
    live = world.core.state.orders["o-1"]
    assert (live.state, live.cum_qty) == (OrderState.PARTIALLY_FILLED, 60)


@pytest.mark.req("EXE-02")
@pytest.mark.parametrize("fate", [Fate.LOST, Fate.NOT_RECEIVED])
def test_a_question_without_an_answer_is_asked_again_and_nothing_sent_meanwhile(fate: Fate):
    world = sent(Outside(), Fate.ANSWER_LOST)
    for _ in range(12):
        assert asked(world) == ["QueryOrder"]
        world.all(fate)
    assert words(world.settle()) == ["accepted"]
    assert world.created == {"o-1": 1}


def test_a_rejection_is_final():
    world = sent(Outside(), Fate.REFUSED)
    assert words(world.said)[-1] == "rejected"
    assert world.effects == []
    assert world.approve() == []


@pytest.mark.req("EXE-01")
@pytest.mark.parametrize("arrived", [True, False])
def test_a_restart_while_an_order_is_sent_asks_for_it_first(arrived: bool):
    world = Outside()
    world.approve()
    world.all()
    (sending,) = world.effects
    if arrived:
        world._act(sending)
    world.restart()
    assert asked(world) == ["QueryOrder", "TakeSnapshot"]
    world.settle()
    assert world.created == {"o-1": 1}
    assert world.core.state.orders["o-1"].state is OrderState.ACCEPTED


@pytest.mark.req("EXE-01")
def test_what_is_pending_is_what_has_no_answer():
    world = Outside()
    world.approve(client_order_id="new", limit_px=1.0)
    world.approve(client_order_id="old", limit_px=1.0)
    world.all()
    world.all()
    world.approve(client_order_id="last")
    world.hear(a(CancelOrder, client_order_id="new"))
    world.hear(a(AmendApproved, order=order(50, client_order_id="old", limit_px=1.0)))
    kinds = [type(effect) for effect in world.core.pending()]
    assert kinds == [CancelAtVenue, AmendAtVenue, RecordIntent, TakeSnapshot]


# --- cancels -----------------------------------------------------------------------------------------


@pytest.mark.req("EXE-03")
def test_an_operators_cancel_goes_out_at_once_and_the_venue_decides():
    world = sent(Outside())
    assert world.hear(a(CancelOrder, client_order_id="o-1", author="ann", reason="mistake")) == []
    assert asked(world) == ["CancelAtVenue"]
    (canceled,) = world.all()
    assert (canceled.reason, canceled.leaves_qty) == ("by ann: mistake", 100)


@pytest.mark.req("EXE-02")
@pytest.mark.parametrize("fate", [Fate.LOST, Fate.NOT_RECEIVED, Fate.ANSWER_LOST, Fate.REFUSED])
def test_a_cancel_is_asked_for_until_the_order_is_known_to_be_gone(fate: Fate):
    world = sent(Outside())
    world.halt()
    for _ in range(20):
        world.all(fate if any(isinstance(e, CancelAtVenue) for e in world.effects) else Fate.OK)
    assert words(world.settle())[-1:] in (["canceled"], [])
    assert world.core.state.orders == {}
    assert world.book["o-1"].final == "CANCELED"


@pytest.mark.req("EXE-03")
def test_an_operators_cancel_that_the_venue_keeps_refusing_is_given_up_and_said():
    world = sent(Outside())
    world.hear(a(CancelOrder, client_order_id="o-1"))
    said = [message for _ in range(30) for message in world.all(Fate.REFUSED)]
    assert [type(message) for message in said] == [CancelRejected]
    assert world.effects == []
    assert list(world.core.state.orders) == ["o-1"]


@pytest.mark.req("EXE-03")
def test_a_cancel_of_nothing_is_rejected():
    (rejected,) = Outside().hear(a(CancelOrder, client_order_id="nobody's"))
    assert isinstance(rejected, CancelRejected)


@pytest.mark.req("EXE-02", "RSK-09")
def test_a_cancel_that_overtakes_its_order_is_sent_again_when_the_order_arrives():
    world = Outside()
    world.approve()
    world.all()
    sending = world.effects[0]
    world.halt()
    canceling = world.effects[1]
    world.carry_out(canceling)
    assert world.effects == [sending]
    world.carry_out(sending)
    assert asked(world) == ["CancelAtVenue"]
    assert words(world.settle()) == ["canceled"]
    assert world.book["o-1"].final == "CANCELED"


@pytest.mark.req("RSK-09")
@pytest.mark.parametrize("fate", [Fate.NOT_RECEIVED, Fate.LOST])
def test_an_order_on_its_second_way_is_not_sent_after_a_stop(fate: Fate):
    world = sent(Outside(), fate)
    world.halt()
    world.settle()
    assert world.created == {}
    assert world.core.state.orders == {}
    assert not any(isinstance(message, OrderFilled) for message in world.said)


@pytest.mark.req("EXE-01", "EXE-02")
def test_an_order_on_its_second_way_is_judged_again():
    world = sent(Outside(), Fate.LOST)
    found = Break(kind=BreakKind.POSITION, instrument_id=EUR_USD, ours=Decimal(0), venue=Decimal(40))
    world.core.state.reconciliation.breaks[found.break_id] = found
    (denied,) = [message for message in world.settle() if isinstance(message, OrderDenied)]
    assert (denied.code, denied.observed, denied.limit) == (DenyCode.RECONCILIATION_BREAK, 0, 40)
    assert world.created == {}


@pytest.mark.req("EXE-01")
def test_an_order_given_up_as_never_received_is_canceled_when_it_works_after_all():
    world = sent(Outside(), Fate.LOST)
    world.halt()
    world.settle()
    world._create(order())
    world.report(Accepted(client_order_id="o-1", venue_order_id="V-o-1"))
    assert asked(world) == ["CancelAtVenue"]
    world.settle()
    assert world.book["o-1"].final == "CANCELED"


@pytest.mark.req("RSK-05")
def test_reducing_cancels_what_adds_risk_and_denies_what_is_not_sent():
    world = Outside()
    sent(world)
    world.fill("o-1")
    world.settle()
    sent(world, client_order_id="resting", limit_px=1.0)
    sent(world, client_order_id="exit", signed_qty=-100, limit_px=1.2, reduce_only=True)
    world.approve(client_order_id="unsent")
    world.approve(client_order_id="smaller", signed_qty=-60)
    world.hear(a(TradingStateChanged, state=TradingState.REDUCING, previous=TradingState.ACTIVE))
    assert asked(world) == ["RecordIntent", "RecordIntent", "CancelAtVenue"]
    said = world.settle()
    denied = [(m.order.client_order_id, m.code) for m in said if isinstance(m, OrderDenied)]
    assert denied == [(name, DenyCode.WOULD_INCREASE) for name in ("unsent", "smaller")]  # who shrinks must say so
    assert list(world.core.state.orders) == ["exit"]
    (denied,) = world.approve(client_order_id="flip", signed_qty=-140)
    assert (denied.code, denied.observed, denied.limit) == (DenyCode.WOULD_INCREASE, -140, -100)


@pytest.mark.req("RSK-01")
def test_what_adds_risk_is_taken_off_the_venue_when_the_guardian_is_lost():
    world = sent(Outside(), limit_px=1.0)
    world.hear(a(GuardianLost))
    assert words(world.settle()) == ["canceled"]


# --- amendments --------------------------------------------------------------------------------------


def amended(world: Outside, **changes: Any) -> Any:
    return world.hear(a(AmendApproved, order=order(**{"limit_px": 1.0, **changes})))


@pytest.mark.req("EXE-03")
def test_an_amendment_changes_the_order_when_the_venue_has_taken_it():
    world = sent(Outside(), limit_px=1.0)
    assert amended(world, signed_qty=60, limit_px=1.05) == []
    (said,) = world.all()
    assert isinstance(said, OrderAmended)
    assert (said.order.qty, world.core.state.orders["o-1"].leaves_qty) == (60, 60)


@pytest.mark.req("EXE-03")
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"client_order_id": "nobody's"}, "no such order works"),
        ({"signed_qty": 30}, "30 have filled already"),
        ({"signed_qty": -60}, "more than quantity and prices"),
        ({"limit_px": None}, "more than quantity and prices"),
    ],
)
def test_an_amendment_that_cannot_be_is_rejected_and_the_order_works_on(changes: dict[str, Any], why: str):
    world = sent(Outside(), limit_px=1.0)
    world.fill("o-1", 30)
    world.settle()
    (said,) = amended(world, **changes)
    assert isinstance(said, AmendRejected)
    assert said.reason == why
    assert world.effects == []


@pytest.mark.req("EXE-03")
def test_an_amendment_of_an_order_that_is_not_accepted_is_rejected():
    world = Outside()
    world.approve(limit_px=1.0)
    assert amended(world)[0].reason == "it is APPROVED"
    world.all()
    assert amended(world)[0].reason == "it is SUBMITTED"


@pytest.mark.req("EXE-02", "EXE-03")
def test_an_amendment_is_asked_for_again_a_bounded_number_of_times():
    world = sent(Outside(), limit_px=1.0)
    amended(world, signed_qty=60)
    said = [message for _ in range(20) for message in world.all(Fate.LOST)]
    assert [type(message) for message in said] == [AmendRejected]
    amended(world, signed_qty=60)
    world.all(Fate.ANSWER_LOST)
    assert words(world.settle()) == ["amended"]


# --- health ------------------------------------------------------------------------------------------


@pytest.mark.req("EXE-02")
def test_a_venue_that_is_down_gets_no_new_risk_and_exits_wait_for_it():
    world = Outside()
    sent(world)
    world.fill("o-1")
    world.settle()
    sent(world, client_order_id="resting", limit_px=1.0)
    (health,) = world.connect(up=False)
    assert isinstance(health, VenueHealth)
    assert (health.usable, health.venue, health.book) == (False, "reference", "fx")
    assert world.connect(up=False) == []
    (denied,) = world.approve(client_order_id="new")
    assert denied.code is DenyCode.VENUE_DOWN
    world.approve(client_order_id="exit", signed_qty=-100, reduce_only=True)
    world.all()
    assert world.effects == []
    assert list(world.core.state.orders) == ["resting", "exit"]
    assert words(world.connect()) == ["venue_health", "submitted"]
    world.settle()
    assert world.created == {"o-1": 1, "resting": 1, "exit": 1}


@pytest.mark.req("EXE-02")
def test_a_venue_never_heard_of_is_not_usable():
    world = Outside()
    world.core.state.connection = type(world.core.state.connection)()
    (denied,) = world.approve()
    assert denied.code is DenyCode.VENUE_DOWN


@pytest.mark.req("EXE-03")
def test_an_exit_is_cut_to_what_there_is_to_exit_from():
    world = Outside()
    sent(world)
    world.fill("o-1", 60)
    world.settle()
    world.approve(client_order_id="exit", signed_qty=-100, reduce_only=True)
    world.all()
    assert world.effects[0].order.qty == 60
    world.all()
    world.approve(client_order_id="wrong side", signed_qty=50, reduce_only=True)
    assert words(world.all()) == ["canceled"]


@pytest.mark.req("EXE-03")
def test_exits_follow_the_position_down():
    world = Outside()
    sent(world)
    world.fill("o-1")
    world.settle()
    for name in ("stop", "flatten"):
        sent(world, client_order_id=name, signed_qty=-100, stop_px=1.0 if name == "stop" else None, reduce_only=True)
    world.fill("flatten", 70)
    assert words(world.settle()) == ["filled", "amended"]
    assert world.book["stop"].order.qty == 30
    world.fill("flatten")
    world.settle()
    assert world.book["stop"].final == "CANCELED"


def test_waits_double_up_to_a_cap_and_differ_by_order():
    settings = RetrySettings(base_s=0.2, cap_s=3.0)
    waits = [backoff_s(settings, "o-1", n) for n in range(1, 200)]
    assert all(0.1 <= wait < 3.0 for wait in waits)
    assert all(0.5 * min(3.0, 0.2 * 2 ** (n - 1)) <= wait for n, wait in enumerate(waits, start=1))
    assert waits == [backoff_s(settings, "o-1", n) for n in range(1, 200)]
    assert backoff_s(settings, "o-2", 1) != waits[0]
    assert backoff_s(settings, "o-1", 1, at_least_s=9.0) == 9.0


def test_reports_about_nobodys_orders_say_nothing():
    world = Outside()
    for report in (NotFound(client_order_id="x"), Rejected(client_order_id="x", reason="no")):
        assert world.report(report) == []
