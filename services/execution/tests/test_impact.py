"""What an order does to the price it takes: the square-root law, only where a volume is known."""

from __future__ import annotations

from decimal import Decimal
from math import exp, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages.market_data import Bar
from common.messages.orders import Order
from common.model.enums import AssetClass, OrderType, Side
from common.model.instrument import Instrument
from common.testing.builders import a
from execution.adapters.paper import Market, Slippage, market_of_bar, moved
from execution.costs import impact_bps
from execution.settings import Settings

SHARE = a(
    Instrument, instrument_id="AAPL.US", asset_class=AssetClass.EQUITY, base="AAPL", price_increment=Decimal("0.0001")
)
EURO = a(Instrument)
LAW = Slippage(0.0, 1.0)


def a_market_order(side: Side) -> Order:
    return a(Order, side=side, order_type=OrderType.MARKET, limit_px=None, stop_px=None)


def limited(side: Side, px: str) -> Order:
    return a(Order, side=side, order_type=OrderType.LIMIT, limit_px=Decimal(px), stop_px=None)


def paid_bps(order: Order, market: Market, qty: float, instrument: Instrument = SHARE, law: Slippage = LAW) -> float:
    """Beyond a price of 100, positive is worse."""
    px = moved(Decimal(100), Decimal(str(qty)), order, market, instrument, law)
    return float((px - 100) * order.side.sign) * 100


def market(volume: float, sigma_bps: float = 200.0) -> Market:
    """A bar around 100 whose range has this standard deviation, by Parkinson's estimator."""
    return Market(100.0, 100.0, 100.0, 0.0, volume, sigma_bps / 10_000 * sqrt(4 * log(2)))


@pytest.mark.req("EXE-04")
def test_one_percent_of_a_days_volume_at_two_percent_volatility_costs_twenty_basis_points() -> None:
    """Y = 1, σ = 200 bps, Q/V = 0.01: 200 · √0.01 = 20, as in Bouchaud's rule of thumb."""
    assert paid_bps(a_market_order(Side.BUY), market(1_000_000), 10_000) == pytest.approx(20.0, abs=0.02)
    assert paid_bps(a_market_order(Side.SELL), market(1_000_000), 10_000) == pytest.approx(20.0, abs=0.02)


@pytest.mark.req("EXE-04")
@given(st.floats(10, 400), st.floats(1e4, 1e7), st.integers(2, 390))
def test_the_law_says_the_same_of_a_day_and_of_a_minute_in_it(sigma_bps: float, volume: float, parts: int) -> None:
    """σ grows with √t, the volume with t: σ√(Q/V) does not know the horizon."""
    day = impact_bps(1.0, sigma_bps, 1000.0, volume)
    assert impact_bps(1.0, sigma_bps / sqrt(parts), 1000.0, volume / parts) == pytest.approx(day)


@pytest.mark.req("EXE-04")
def test_four_times_the_quantity_moves_the_price_twice_as_far() -> None:
    one, four = (paid_bps(a_market_order(Side.BUY), market(1_000_000), qty) for qty in (2_500, 10_000))
    assert four == pytest.approx(2 * one, abs=0.02)


@pytest.mark.req("EXE-04")
def test_where_no_volume_is_known_there_is_no_impact() -> None:
    assert paid_bps(a_market_order(Side.BUY), market(0), 10_000) == 0
    assert paid_bps(a_market_order(Side.BUY), market(1_000_000), 10_000, EURO) == 0  # a count of ticks


@pytest.mark.req("EXE-04")
def test_a_limit_is_never_passed() -> None:
    buy = limited(Side.BUY, "100.05")
    assert moved(Decimal(100), Decimal(10_000), buy, market(1_000_000), SHARE, LAW) == Decimal("100.05")
    sell = limited(Side.SELL, "99.95")
    assert moved(Decimal(100), Decimal(10_000), sell, market(1_000_000), SHARE, LAW) == Decimal("99.95")


@pytest.mark.req("EXE-04")
def test_flat_slippage_is_paid_by_every_fill_that_takes_liquidity() -> None:
    assert paid_bps(a_market_order(Side.BUY), market(0), 1, EURO, Slippage(5.0, 0.0)) == pytest.approx(5.0)


@pytest.mark.req("EXE-04")
@given(st.sampled_from([Side.BUY, Side.SELL]), st.floats(1, 1e6), st.floats(1, 1e7), st.floats(0, 500))
def test_impact_is_never_a_gift(side: Side, qty: float, volume: float, sigma_bps: float) -> None:
    buy = a_market_order(side)
    px = moved(Decimal(100), Decimal(repr(qty)), buy, market(volume, sigma_bps), SHARE, LAW)
    assert (px - 100) * side.sign >= 0


@pytest.mark.req("EXE-04")
def test_a_bars_volatility_is_told_by_its_range() -> None:
    bar = a(Bar, open=100.0, high=100.0 * exp(0.01), low=100.0 * exp(-0.01), close=100.0, volume=5.0)
    assert market_of_bar(bar, SHARE, 0, 0).range == pytest.approx(0.02)


@pytest.mark.req("EXE-04")
def test_costs_are_on_by_default() -> None:
    settings = Settings()
    assert settings.impact == 1.0
    assert settings.taker_bps > 0
    assert settings.latency_ms > 0
    assert settings.financing.enabled


@pytest.mark.req("EXE-04")
def test_more_than_a_bars_whole_volume_costs_what_that_does() -> None:
    whole, more = (paid_bps(a_market_order(Side.BUY), market(100), qty) for qty in (100, 10_000))
    assert whole == more == pytest.approx(200.0, abs=0.02)
