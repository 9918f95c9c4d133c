"""Where, when and how much the paper venue trades (EXE-03, EXE-04), and what it costs (EXE-06)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from common.messages import OrderFilled
from common.messages.market_data import Bar
from common.model.account import Account
from common.model.enums import Side, TimeInForce
from common.model.time import Timeframe
from common.testing.builders import T0, a
from execution.adapters import paper
from execution.booking import slippage_bps
from execution.core import Execution
from execution.settings import Settings

HOUR = Timeframe.H1.ns


@pytest.fixture
def fills(only: Any) -> Any:
    """(quantity, price) of every fill said, as text."""
    return lambda said: [(f"{m.last_qty:f}", f"{m.last_px:f}") for m in only(said, OrderFilled)]


@pytest.mark.req("EXE-04")
@pytest.mark.parametrize(
    ("signed_qty", "spread", "px"),
    [(100, None, "1.10005"), (-100, None, "1.09995"), (100, 0.0004, "1.10020"), (-100, 0.0004, "1.09980")],
)
def test_a_market_order_trades_at_the_next_bars_open_half_a_spread_worse(
    desk: Any, fills: Any, signed_qty: int, spread: float | None, px: str
) -> None:
    trader = desk()
    trader.approve(signed_qty)
    assert fills(trader.trade(1.1, 1.2, 1.0, 1.15, spread_open=spread, spread_close=0.5)) == [("100", px)]


@pytest.mark.req("EXE-04")
@pytest.mark.parametrize(("signed_qty", "px"), [(100, "1.10300"), (-100, "1.10100")])
def test_where_there_are_quotes_buys_pay_the_ask_and_sells_get_the_bid(
    desk: Any, fills: Any, signed_qty: int, px: str
) -> None:
    trader = desk()
    trader.approve(signed_qty)
    assert fills(trader.quote(bid=1.101, ask=1.103)) == [("100", px)]


@pytest.mark.req("EXE-04")
def test_a_close_only_series_trades_at_its_next_close(desk: Any, fills: Any) -> None:
    trader = desk(close_only=True)
    trader.approve()
    assert fills(trader.trade(1.1, 1.2, 1.0, 1.15)) == [("100", "1.15005")]


@pytest.mark.req("EXE-04")
def test_a_bar_that_opened_before_the_order_offers_only_its_close(desk: Any, fills: Any) -> None:
    trader = desk()
    trader.approve()
    assert fills(trader.trade(1.1, 1.2, 1.0, 1.15, timeframe=Timeframe.H4)) == [("100", "1.15005")]


@pytest.mark.req("EXE-04")
@pytest.mark.parametrize("latency_ms", [0, 50])
def test_nothing_trades_at_the_price_that_made_the_decision(desk: Any, fills: Any, latency_ms: int) -> None:
    trader = desk(latency_ms=latency_ms)
    trader.trade(1.1)
    trader.approve()
    trader.step -= 1
    assert fills(trader.trade(1.1)) == []
    assert fills(trader.trade(1.2)) == [("100", "1.20005")]


@pytest.mark.req("EXE-04")
def test_an_order_still_on_its_way_meets_nothing(desk: Any, fills: Any) -> None:
    trader = desk(latency_ms=60_000)
    trader.approve()
    trader.core.state.paper.orders["fx-EUR-USD-7"].ts_sent += HOUR - 60 * 10**9
    assert fills(trader.trade(1.1)) == []
    assert fills(trader.trade(1.3)) == [("100", "1.30005")]


@pytest.mark.req("EXE-03")
@pytest.mark.parametrize(
    ("signed_qty", "limit", "ohlc", "px"),
    [
        (100, 1.09, (1.1, 1.12, 1.08, 1.1), "1.09"),  # traded through
        (100, 1.09, (1.1, 1.12, 1.08995, 1.1), None),  # only touched: the ask's low is the limit
        (100, 1.09, (1.1, 1.12, 1.08994, 1.1), "1.09"),
        (100, 1.11, (1.1, 1.12, 1.08, 1.1), "1.10005"),  # marketable: at the open, better than asked
        (100, 1.10002, (1.1, 1.12, 1.10001, 1.1), None),
        (-100, 1.11, (1.1, 1.12, 1.08, 1.1), "1.11"),
        (-100, 1.11, (1.1, 1.11005, 1.08, 1.1), None),
        (-100, 1.09, (1.1, 1.12, 1.08, 1.1), "1.09995"),
    ],
)
def test_a_limit_trades_only_when_the_market_goes_through_it(
    desk: Any, fills: Any, signed_qty: int, limit: float, ohlc: tuple[float, ...], px: str | None
) -> None:
    trader = desk()
    trader.approve(signed_qty, limit_px=limit)
    assert [price for _, price in fills(trader.trade(*ohlc))] == ([px] if px else [])


@pytest.mark.req("EXE-03")
@pytest.mark.parametrize(
    ("signed_qty", "stop", "ohlc", "px"),
    [
        (100, 1.11, (1.1, 1.12, 1.08, 1.1), "1.11"),
        (100, 1.11, (1.1, 1.1099, 1.08, 1.1), None),
        (100, 1.11, (1.13, 1.14, 1.12, 1.13), "1.13005"),  # a gap: the stop is no promise
        (-100, 1.09, (1.1, 1.12, 1.08, 1.1), "1.09"),
        (-100, 1.09, (1.1, 1.12, 1.0901, 1.1), None),
        (-100, 1.09, (1.07, 1.075, 1.06, 1.07), "1.06995"),
    ],
)
def test_a_stop_trades_when_reached_and_at_the_open_of_a_gap(
    desk: Any, fills: Any, signed_qty: int, stop: float, ohlc: tuple[float, ...], px: str | None
) -> None:
    trader = desk()
    trader.approve(signed_qty, stop_px=stop)
    assert [price for _, price in fills(trader.trade(*ohlc))] == ([px] if px else [])


@pytest.mark.req("EXE-03")
def test_a_stop_limit_becomes_a_limit_when_its_stop_is_reached(desk: Any, fills: Any) -> None:
    trader = desk()
    trader.approve(stop_px=1.11, limit_px=1.105)
    assert fills(trader.trade(1.1, 1.1, 1.0, 1.1)) == []  # the limit alone would have traded
    assert fills(trader.trade(1.11, 1.12, 1.0, 1.11)) == []  # triggered; when inside the bar is not known
    assert fills(trader.trade(1.12, 1.12, 1.11, 1.12)) == []
    assert fills(trader.trade(1.12, 1.12, 1.104, 1.12)) == [("100", "1.105")]


@pytest.mark.req("EXE-03")
def test_immediate_or_cancel_takes_what_is_there_and_cancels_the_rest(desk: Any, fills: Any, told: Any) -> None:
    trader = desk(max_qty_per_bar=30)
    trader.approve(time_in_force=TimeInForce.IOC)
    said = trader.trade(1.1)
    assert told(said) == ["filled", "canceled"]
    assert (fills(said), said[1].leaves_qty) == ([("30", "1.10005")], 70)
    assert told(trader.trade(1.1)) == []


@pytest.mark.req("EXE-03")
def test_fill_or_kill_is_all_or_nothing_at_the_first_chance(desk: Any, told: Any) -> None:
    trader = desk(max_qty_per_bar=30)
    trader.approve(30, time_in_force=TimeInForce.FOK)
    trader.approve(31, time_in_force=TimeInForce.FOK, client_order_id="large")
    trader.approve(5, time_in_force=TimeInForce.FOK, client_order_id="far", limit_px=1.0)
    assert told(trader.trade(1.1)) == ["filled", "canceled", "canceled"]
    assert trader.held() == 30


@pytest.mark.req("EXE-03")
@pytest.mark.parametrize(
    ("good_for", "ohlc", "words"),
    [
        (HOUR, (1.1, 1.1, 1.0, 1.1), ["filled"]),
        (HOUR, (1.1, 1.1, 1.1, 1.1), ["expired"]),
        (HOUR // 2, (1.1, 1.1, 1.0, 1.1), ["expired"]),  # whether before or after the low is not known
        (HOUR + 1, (1.1, 1.1, 1.1, 1.1), []),
    ],
)
def test_a_good_till_date_order_ends_at_its_date(
    desk: Any, told: Any, good_for: int, ohlc: tuple[float, ...], words: list[str]
) -> None:
    trader = desk()
    trader.approve(limit_px=1.05, time_in_force=TimeInForce.GTD, expire_ns=T0 + good_for)
    assert told(trader.trade(*ohlc)) == words


@pytest.mark.req("EXE-03")
def test_an_order_expires_over_a_weekend_without_a_market(desk: Any, told: Any) -> None:
    trader = desk()
    trader.approve(time_in_force=TimeInForce.GTD, expire_ns=T0 + HOUR)
    trader.step += 48
    assert told(trader.trade(1.1)) == ["expired"]


@pytest.mark.req("EXE-03", "EXE-04")
def test_a_large_order_fills_in_parts_with_running_sums(desk: Any, only: Any) -> None:
    trader = desk(participation=0.1)
    trader.approve(100)
    parts = [m for px in (1.1, 1.2, 1.3) for m in only(trader.trade(px, volume=449.0), OrderFilled)]
    assert [(m.last_qty, m.cum_qty, m.leaves_qty) for m in parts] == [(44, 44, 56), (44, 88, 12), (12, 100, 0)]
    assert [m.fill_id for m in parts] == [f"fx-EUR-USD-7-F{n}" for n in (1, 2, 3)]
    value = 44 * Decimal("1.10005") + 44 * Decimal("1.20005") + 12 * Decimal("1.30005")
    assert parts[-1].avg_px == value / 100


@pytest.mark.req("EXE-04")
@pytest.mark.parametrize(
    ("participation", "volume", "cap", "qty"),
    [
        (0.0, 50.0, None, "100"),
        (0.5, 0.0, None, "100"),  # a volume of 0 is an unknown one
        (0.5, 50.0, None, "25"),
        (0.5, 50.0, Decimal("7.9"), "7"),
        (0.1, 5.0, None, "0"),
    ],
)
def test_how_much_trades_is_bounded_by_volume_and_cap(
    desk: Any, participation: float, volume: float, cap: Decimal | None, qty: str
) -> None:
    market = paper.Market(first=1.1, high=1.1, low=1.1, half=0.0, volume=volume)
    assert paper.fillable(Decimal(100), market, desk().instrument, participation, cap) == Decimal(qty)


@pytest.mark.req("EXE-04")
def test_a_quote_offers_no_more_than_its_size(desk: Any, fills: Any) -> None:
    trader = desk(participation=1.0)
    trader.approve(100)
    assert fills(trader.quote(1.1, 1.1, size=60.0)) == [("60", "1.10000")]


@pytest.mark.req("EXE-03")
def test_reduce_only_orders_never_flip_a_position(desk: Any, fills: Any, told: Any) -> None:
    trader = desk()
    trader.approve(100)
    trader.trade(1.1)
    trader.approve(-70, reduce_only=True, client_order_id="first")
    trader.approve(-70, reduce_only=True, client_order_id="second")
    trader.approve(-70, reduce_only=True, client_order_id="third")
    said = trader.trade(1.1)
    assert told(said) == ["filled", "filled", "canceled", "canceled"]
    assert [qty for qty, _ in fills(said)] == ["70", "30"]
    assert said[-1].open_orders == ()
    assert trader.held() == 0


@pytest.mark.req("EXE-03")
def test_a_reduce_only_order_on_the_side_of_the_position_is_canceled(desk: Any, told: Any) -> None:
    trader = desk()
    trader.approve(100)
    trader.trade(1.1)
    trader.approve(50, reduce_only=True, client_order_id="wrong side")
    assert told(trader.trade(1.1)) == ["canceled"]


@pytest.mark.req("EXE-06")
@pytest.mark.parametrize(
    ("changes", "ohlc", "commission"),
    [
        ({}, (1.1,), "0.110005"),
        ({"stop_px": 1.1}, (1.2,), "0.120005"),
        ({"limit_px": 1.0}, (1.1, 1.1, 0.9, 1.0), "0.04"),
    ],
)
def test_commission_is_the_takers_on_market_and_stop_and_the_makers_on_limit_fills(
    desk: Any, only: Any, changes: dict[str, Any], ohlc: tuple[float, ...], commission: str
) -> None:
    trader = desk()
    state = trader.core.state
    trader.core = Execution(Settings(taker_bps=10, maker_bps=4, report_costs=False), Account())
    trader.core.state = state
    trader.approve(**changes)
    (fill,) = only(trader.trade(*ohlc), OrderFilled)
    assert (fill.commission, fill.commission_currency) == (Decimal(commission), "USD")
    assert state.ledger.cash["USD"] == Decimal(100_000) - fill.last_qty * fill.last_px - fill.commission


@pytest.mark.req("EXE-06")
@pytest.mark.parametrize(
    ("side", "px", "bps"), [(Side.BUY, "1.111", 100), (Side.BUY, "1.089", -100), (Side.SELL, "1.089", 100)]
)
def test_slippage_against_the_arrival_price_is_positive_when_worse(side: Side, px: str, bps: float) -> None:
    assert slippage_bps(side, Decimal(px), Decimal("1.1")) == pytest.approx(bps)
    assert slippage_bps(side, Decimal(px), Decimal(0)) == 0.0


@pytest.mark.req("EXE-06")
def test_every_fill_carries_its_slippage(desk: Any, only: Any) -> None:
    trader = desk()
    trader.approve(-100)
    (fill,) = only(trader.trade(1.098), OrderFilled)
    assert (fill.ref_px, fill.slippage_bps) == (Decimal("1.1"), pytest.approx((1.1 - 1.09795) / 1.1 * 1e4))


@pytest.mark.parametrize(("signed_qty", "px"), [(100, "1.10006"), (-100, "1.09995")])
def test_prices_between_increments_are_rounded_against_the_trader(
    desk: Any, fills: Any, signed_qty: int, px: str
) -> None:
    trader = desk()
    trader.approve(signed_qty)
    assert fills(trader.trade(1.100004))[0][1] == px


def test_only_the_finest_bar_of_an_instrument_is_traded_on(desk: Any, fills: Any) -> None:
    trader = desk()
    trader.approve()
    coarse = a(Bar, timeframe=Timeframe.D1, base=False)
    assert fills(trader.pass_hour(bars=(coarse,))) == []
