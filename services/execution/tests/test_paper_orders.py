"""Order types and amendments at the paper venue, as a real venue has them (EXE-03, EXE-04)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from support.outside import order

from common.messages import AmendApproved, CancelOrder, OrderAmended, OrderCosted, OrderFilled
from common.model.enums import Algorithm, TimeInForce
from common.testing.builders import a
from execution.adapters.paper_venue import PaperBook, PaperVenue
from execution.costs import FeeTier
from execution.settings import Settings

pytestmark = pytest.mark.req("EXE-03", "EXE-04")


def fills(said: Any) -> list[tuple[str, bool]]:
    return [(f"{m.last_px:f}", m.maker) for m in said if isinstance(m, OrderFilled)]


def test_a_post_only_order_that_would_cross_is_canceled(desk: Any, told: Any):
    trader = desk()
    trader.approve(100, limit_px=1.15, post_only=True)
    said = trader.trade(1.1)
    assert told(said) == ["canceled"]
    assert said[0].reason == "post-only: it would have crossed"


def test_a_post_only_order_that_rests_trades_at_its_limit_even_through_a_gap(desk: Any, told: Any):
    trader = desk()
    trader.approve(100, limit_px=1.05, post_only=True)
    assert told(trader.trade(1.1)) == []
    assert fills(trader.trade(1.0)) == [("1.05", True)]


def test_the_time_in_force_of_a_stop_begins_when_it_is_reached(desk: Any, told: Any):
    trader = desk(max_qty_per_bar=30)
    trader.approve(100, stop_px=1.2, time_in_force=TimeInForce.IOC, client_order_id="ioc")
    trader.approve(100, stop_px=1.2, time_in_force=TimeInForce.FOK, client_order_id="fok")
    assert told(trader.trade(1.1)) == []
    assert told(trader.trade(1.1, 1.3, 1.1, 1.2)) == ["filled", "canceled", "canceled"]


def test_a_stop_limit_with_a_time_in_force_has_one_chance_after_its_stop(desk: Any, told: Any):
    trader = desk()
    trader.approve(100, stop_px=1.2, limit_px=1.15, time_in_force=TimeInForce.IOC)
    assert told(trader.trade(1.1)) == []
    assert told(trader.trade(1.1, 1.3, 1.1, 1.25)) == []
    assert told(trader.trade(1.25)) == ["canceled"]


def test_the_rest_of_a_stop_that_was_reached_is_a_market_order(desk: Any):
    trader = desk(max_qty_per_bar=60)
    trader.approve(100, stop_px=1.2)
    assert fills(trader.trade(1.1, 1.2, 1.1, 1.1)) == [("1.2", False)]
    assert fills(trader.trade(1.1)) == [("1.10005", False)]


def test_an_amended_order_trades_by_its_new_terms_and_not_in_the_past(desk: Any, told: Any):
    trader = desk()
    trader.approve(100, limit_px=1.0)
    changed = msgspec.structs.replace(
        trader.core.state.orders["fx-EUR-USD-7"].order, qty=Decimal(60), limit_px=Decimal("1.05")
    )
    (said,) = trader.hear(a(AmendApproved, order=changed))
    assert isinstance(said, OrderAmended)
    assert fills(trader.trade(1.1, 1.1, 1.04, 1.1)) == [("1.05", True)]
    assert trader.held() == 60


def test_an_amendment_below_what_has_filled_is_rejected_by_the_venue(desk: Any):
    book, venue = PaperBook(), PaperVenue(Settings())
    venue.send(book, order(100, limit_px=1.0), 0)
    book.orders["o-1"].cum_qty += 60
    assert type(venue.amend(book, order(60, limit_px=1.0), 1)).__name__ == "AmendRefused"
    assert type(venue.amend(book, order(61, limit_px=1.0), 1)).__name__ == "Amended"
    assert type(venue.amend(book, order(61, client_order_id="x"), 1)).__name__ == "AmendRefused"


def test_an_order_that_is_amended_goes_to_the_end_of_the_queue():
    book, venue = PaperBook(), PaperVenue(Settings())
    for name in ("first", "second"):
        venue.send(book, order(100, client_order_id=name, limit_px=1.0), 0)
    venue.amend(book, order(50, client_order_id="first", limit_px=1.0), 9)
    assert (list(book.orders), book.orders["first"].ts_sent) == (["second", "first"], 9)


def test_an_id_that_works_is_not_sent_twice():
    book, venue = PaperBook(), PaperVenue(Settings())
    assert venue.send(book, order(), 0) == venue.send(book, order(), 1)
    assert list(book.orders) == ["o-1"]


def test_an_operators_cancel_is_done_at_once(desk: Any, told: Any):
    trader = desk()
    trader.approve(100, limit_px=1.0, client_order_id="o")
    (said,) = trader.hear(a(CancelOrder, client_order_id="o", author="ann", reason="mistake"))
    assert (said.leaves_qty, said.reason) == (100, "by ann: mistake")
    assert told(trader.trade(0.9)) == []


def test_an_order_canceled_before_its_intent_is_recorded_is_never_sent(desk: Any, told: Any):
    trader = desk()
    trader.approve(client_order_id="o", record=False)
    trader.trade(1.1)
    said = trader.hear(a(CancelOrder, client_order_id="o"))
    assert [m.TYPE.split(".")[1] for m in said] == ["canceled", "step"]


@pytest.mark.req("EXE-06")
def test_every_order_says_in_the_end_what_it_cost(desk: Any):
    trader = desk(report_costs=True, taker_bps=10, max_qty_per_bar=60)
    trader.approve(100)
    trader.trade(1.1)
    (costed,) = [m for m in trader.trade(1.2) if isinstance(m, OrderCosted)]
    slippage = ((60 * 1.10005 + 40 * 1.20005) / 100 / 1.1 - 1) * 10_000
    assert costed.slippage_bps == pytest.approx(slippage)
    assert costed.total_bps == pytest.approx(slippage + costed.fee_bps)
    assert costed.expected_bps == pytest.approx(0.00005 / 1.1 * 10_000 + 10)
    assert (costed.algorithm, costed.filled_qty, costed.duration_ns) == (Algorithm.MARKET, 100, 2 * 3600 * 10**9)


@pytest.mark.req("EXE-06")
def test_fees_fall_with_the_turnover_of_the_month(desk: Any):
    tiers = (FeeTier(turnover=100.0, taker_bps=1.0, maker_bps=0.0),)
    trader = desk(taker_bps=10, fee_tiers=tiers)
    paid = []
    for name in ("first", "second"):
        trader.approve(100, client_order_id=name)
        (fill,) = [m for m in trader.trade(1.1) if isinstance(m, OrderFilled)]
        paid.append(float(fill.commission / fill.last_px / 100 * 10_000))
    assert paid == pytest.approx([10, 1], rel=1e-3)
