"""Our book and the venue's: what differs for good is a break, said and acted on, and stops nobody but its instrument (EXE-01)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from support.outside import MINUTE, OTHER, PX, Fate, Outside, order

from common.messages import OrderAccepted, OrderAmended, OrderFilled, Reconciled, ReconciliationBreak
from common.messages.orders import BreakKind
from common.messages.venue import Traded
from common.model.enums import DenyCode, OrderState
from common.testing.builders import EUR_USD
from execution.effects import TakeSnapshot
from execution.settings import ReconciliationSettings

pytestmark = pytest.mark.req("EXE-01")


def world(**reconciliation: Any) -> Outside:
    return Outside(reconciliation=ReconciliationSettings(every_s=60, **reconciliation))


def working(one: Outside, **changes: Any) -> Outside:
    one.approve(**{"limit_px": 1.0, **changes})
    one.settle()
    return one


def compare(one: Outside) -> list[Any]:
    """The next snapshot is due, and those that it leads to; what is said but for steps."""
    said = [*one.pass_time(), *one.settle()]
    return [
        m for m in said if isinstance(m, ReconciliationBreak | Reconciled | OrderFilled | OrderAccepted | OrderAmended)
    ]


def breaks(said: list[Any]) -> list[tuple[str, bool]]:
    return [(m.kind, m.open) for m in said if isinstance(m, ReconciliationBreak)]


def test_a_book_that_agrees_has_no_breaks():
    (said,) = compare(working(world()))
    assert (type(said), said.number, said.open_breaks, said.book) == (Reconciled, 2, 0, "fx")


def test_a_comparison_is_asked_for_at_the_start_and_then_every_so_often():
    one = world()
    assert [effect.number for effect in one.core.pending()] == [2]
    one.pass_time()
    assert one.effects == [TakeSnapshot(number=2)]
    one.pass_time()
    assert one.effects == [TakeSnapshot(number=2)]
    one.settle()
    assert one.core.state.reconciliation.due_ns == one.now + MINUTE


def test_no_new_risk_before_the_first_comparison():
    one = world()
    one.core.state.reconciliation.taken = 0
    (denied,) = one.approve()
    assert denied.code is DenyCode.RECONCILIATION_BREAK


def test_a_fill_that_was_never_reported_is_booked_from_the_snapshot_once():
    one = working(world())
    one.fill("o-1", 60, mail=False)
    said = compare(one)
    assert breaks(said) == [(BreakKind.FILL_MISSING, False)]
    (fill,) = [m for m in said if isinstance(m, OrderFilled)]
    assert (fill.last_qty, fill.client_order_id) == (60, "o-1")
    found = next(m for m in said if isinstance(m, ReconciliationBreak))
    assert (found.ours, found.venue, found.break_id) == (0, 60, f"FILL_MISSING:{EUR_USD}:o-1")
    assert one.report(one.book["o-1"].trades[0]) == []
    assert breaks(compare(one)) == []


def test_an_order_at_the_venue_that_is_not_ours_is_canceled_and_the_break_closed():
    one = world()
    one._create(order(70, client_order_id="foreign"))
    said = compare(one)
    assert breaks(said) == [(BreakKind.ORDER_UNKNOWN, True), (BreakKind.ORDER_UNKNOWN, False)]
    assert one.book["foreign"].final == "CANCELED"
    assert said[-1].open_breaks == 0


def test_or_it_is_adopted_and_its_fills_are_ours():
    one = world(unknown_orders="adopt")
    one._create(order(-70, client_order_id="foreign"))
    said = compare(one)
    assert breaks(said) == [(BreakKind.ORDER_UNKNOWN, True), (BreakKind.ORDER_UNKNOWN, False)]
    live = one.core.state.orders["foreign"]
    assert (live.order.strategy_id, live.order.signed_qty, live.state) == ("adopted", -70, OrderState.ACCEPTED)
    one.fill("foreign")
    one.settle()
    assert one.core.state.ledger.qty(EUR_USD) == -70


def test_an_order_that_is_over_for_us_is_never_adopted():
    one = working(world(unknown_orders="adopt"))
    one.halt()
    one.settle()
    one.book["o-1"].final = ""
    compare(one)
    assert one.book["o-1"].final == "CANCELED"
    assert one.core.state.orders == {}


def test_an_order_that_the_venue_has_canceled_in_silence_is_asked_about_and_closed():
    one = working(world())
    one.book["o-1"].final = "CANCELED"
    assert breaks(compare(one)) == [(BreakKind.ORDER_MISSING, True), (BreakKind.ORDER_MISSING, False)]
    assert one.core.state.orders == {}


def test_an_order_that_the_venue_has_forgotten_is_closed_when_it_says_so_twice():
    one = working(world())
    del one.book["o-1"]
    assert breaks(compare(one)) == [(BreakKind.ORDER_MISSING, True), (BreakKind.ORDER_MISSING, False)]
    assert one.core.state.orders == {}


def test_an_order_with_another_quantity_at_the_venue_is_asked_about_and_then_taken_over():
    one = working(world())
    one.book["o-1"].order = order(80, limit_px=1.0)
    said = compare(one)
    assert breaks(said) == [(BreakKind.FILL_MISSING, True), (BreakKind.FILL_MISSING, False)]
    (amended,) = [m for m in said if isinstance(m, OrderAmended)]
    assert amended.order.qty == 80


def test_an_order_whose_acceptance_was_lost_is_accepted_by_the_snapshot():
    one = world()
    one.approve(limit_px=1.0)
    one.all()
    one.all(Fate.ANSWER_LOST)
    one.effects.clear()
    one.hear(one.snapshot(2))
    assert one.core.state.orders["o-1"].state is OrderState.ACCEPTED


def foreign_trade(one: Outside, qty: int, instrument_id: str = EUR_USD) -> None:
    """Somebody else trades on the account; the venue tells us nothing but the position."""
    one._create(order(qty, client_order_id="by hand", instrument_id=instrument_id))
    one.fill("by hand", mail=False)


def test_a_position_that_nothing_explains_waits_for_a_person_and_stops_its_instrument_only():
    one = working(world(compare_cash=False))
    foreign_trade(one, 40)
    assert breaks(compare(one)) == [(BreakKind.POSITION, True)]
    assert breaks(compare(one)) == []
    (denied,) = one.approve(client_order_id="more")
    assert (denied.code, denied.observed, denied.limit) == (DenyCode.RECONCILIATION_BREAK, 0, 40)
    one.approve(client_order_id="elsewhere", instrument_id=OTHER)
    one.approve(client_order_id="less", signed_qty=-10, reduce_only=True)
    one.settle()
    assert set(one.created) == {"o-1", "by hand", "elsewhere"}
    assert [live.order.client_order_id for live in one.core.state.orders.values()] == ["o-1", "elsewhere"]
    foreign_trade(one, -40)
    assert breaks(compare(one)) == []


def test_a_position_break_closes_when_the_books_agree_again():
    one = world(compare_cash=False)
    foreign_trade(one, 40)
    compare(one)
    del one.book["by hand"]
    assert breaks(compare(one)) == [(BreakKind.POSITION, False)]
    assert one.approve() == []


def test_positions_and_cash_are_taken_over_when_that_is_wanted():
    one = world(adopt_positions=True)
    foreign_trade(one, 40)
    said = compare(one)
    assert breaks(said) == [(BreakKind.POSITION, True), (BreakKind.CASH, True)]
    assert one.core.state.ledger.qty(EUR_USD) == 40
    assert one.core.state.ledger.cash["USD"] == Decimal(100_000) - 40 * PX
    assert breaks(compare(one)) == [(BreakKind.POSITION, False), (BreakKind.CASH, False)]


def test_a_difference_in_cash_is_seen_and_stops_nothing():
    one = world()
    one.core.state.ledger.credit("USD", Decimal("0.02"))
    said = compare(one)
    assert breaks(said) == [(BreakKind.CASH, True)]
    assert one.core.state.reconciliation.breaks["CASH:USD"].venue == 100_000
    assert one.approve() == []
    one.core.state.ledger.credit("USD", Decimal("-0.01"))
    assert breaks(compare(one)) == [(BreakKind.CASH, False)]


def test_what_is_on_its_way_is_no_break():
    one = working(world())
    one.fill("o-1", 60)
    for number in (2, 3):
        snapshot = one.snapshot(number)
        bare = type(snapshot)(
            **{f: getattr(snapshot, f) for f in ("ts_event", "number", "orders", "positions", "cash")}
        )
        said = one.hear(bare)
        assert breaks(said) == []
        one.effects.clear()
        one.report(one.mail[0])


def test_a_snapshot_heard_twice_is_compared_once():
    one = world()
    snapshot = one.snapshot(2)
    assert [type(m) for m in one.hear(snapshot)] == [Reconciled]
    assert one.hear(snapshot) == []


def test_executions_of_orders_that_are_forgotten_are_not_booked_again():
    one = working(world())
    one.fill("o-1")
    one.settle()
    one.core.state.finished.clear()
    compare(one)
    assert one.core.state.ledger.qty(EUR_USD) == 100


def test_a_trade_in_an_unknown_currency_of_fee_is_paid_in_that_currency():
    one = working(world(compare_cash=False))
    trade = Traded(
        client_order_id="o-1",
        venue_order_id="V-o-1",
        trade_id="T",
        last_qty=Decimal(1),
        last_px=PX,
        commission=Decimal("0.5"),
        commission_currency="BNB",
    )
    one.report(trade)
    assert one.core.state.ledger.cash == {"USD": Decimal(100_000) - PX, "BNB": Decimal("-0.5")}
