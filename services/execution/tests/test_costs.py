"""Costs before and after, in basis points; positive is worse (EXE-06)."""

from __future__ import annotations

from decimal import Decimal
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import OrderFilled
from common.messages.orders import Order
from common.model.enums import Algorithm, Side
from common.model.time import NS_PER_DAY
from common.testing.builders import T0, a
from execution.costs import (
    Costs,
    Fees,
    FeeTier,
    Tally,
    Turnover,
    costed,
    delay_bps,
    fees_at,
    impact_bps,
    mean_wait,
    reach_probability,
)

STANDARD = Fees(taker_bps=10, maker_bps=8)
TIERS = (
    FeeTier(turnover=1_000_000, taker_bps=6, maker_bps=2),
    FeeTier(turnover=100_000, taker_bps=8, maker_bps=5),
)

distances = st.floats(0, 100)
sigmas = st.floats(0.01, 100)
decimals = st.decimals("0.01", "1000", places=2)


@pytest.mark.req("EXE-06")
def test_what_is_expected_is_the_sum_of_its_parts() -> None:
    assert Costs(spread_bps=1, fee_bps=2, impact_bps=3, delay_bps=4).expected_bps == 10


@pytest.mark.req("EXE-06")
@pytest.mark.parametrize(
    ("turnover", "fees"),
    [(0, STANDARD), (99_999, STANDARD), (100_000, Fees(8, 5)), (999_999, Fees(8, 5)), (5_000_000, Fees(6, 2))],
)
def test_the_fee_is_that_of_the_highest_tier_reached(turnover: float, fees: Fees) -> None:
    assert fees_at(TIERS, turnover, STANDARD) == fees


def test_without_a_table_the_fee_is_the_settings() -> None:
    assert fees_at((), 1e12, STANDARD) == STANDARD


@pytest.mark.req("EXE-06")
def test_turnover_counts_thirty_days_and_keeps_no_more() -> None:
    turnover = Turnover()
    for day in range(100):
        turnover.add(T0 + day * NS_PER_DAY, 10.0)
        turnover.add(T0 + day * NS_PER_DAY, 5.0)
    now = T0 + 99 * NS_PER_DAY
    assert turnover.as_of(now) == 30 * 15
    assert turnover.as_of(now + 20 * NS_PER_DAY) == 10 * 15
    assert len(turnover.days) == 30


@pytest.mark.req("EXE-06")
def test_impact_follows_the_square_root_of_the_share_of_volume() -> None:
    assert impact_bps(1.0, 10.0, 4.0, 100.0) == pytest.approx(2.0)
    assert impact_bps(0.5, 10.0, 16.0, 100.0) == pytest.approx(2.0)


def test_without_volume_no_impact_can_be_told() -> None:
    assert impact_bps(1.0, 10.0, 4.0, 0.0) == 0.0


@given(distances, sigmas)
def test_a_price_is_reached_with_twice_the_tail_of_the_normal_law(distance: float, sigma: float) -> None:
    expected = min(2 * NormalDist().cdf(-distance / sigma), 1.0)
    assert reach_probability(distance, sigma) == pytest.approx(expected, abs=1e-12)


@given(st.floats(0.01, 30), st.floats(0.1, 30))
def test_the_mean_wait_is_the_integral_of_not_having_reached(distance: float, sigma: float) -> None:
    edges = np.linspace(0, 1, 4001)
    middles = (edges[1:] + edges[:-1]) / 2
    not_reached = [1 - reach_probability(distance, sigma * t**0.5) for t in middles]
    assert mean_wait(distance, sigma) == pytest.approx(float(np.mean(not_reached)), abs=2e-3)


def test_what_is_already_there_is_not_waited_for_and_a_dead_market_never_comes() -> None:
    assert (reach_probability(0, 0), mean_wait(0, 0)) == (1.0, 0.0)
    assert (reach_probability(1, 0), mean_wait(1, 0)) == (0.0, 1.0)


@pytest.mark.parametrize(("urgency", "bps"), [(0, 0), (0.5, 2), (0.9, 18), (1, float("inf"))])
def test_delay_costs_more_the_more_urgent_the_order(urgency: float, bps: float) -> None:
    assert delay_bps(20.0, 0.1, urgency) == pytest.approx(bps)


def _fill(qty: str, px: str, commission: str, *, maker: bool) -> OrderFilled:
    return a(OrderFilled, last_qty=Decimal(qty), last_px=Decimal(px), commission=Decimal(commission), maker=maker)


@pytest.mark.req("EXE-06")
@pytest.mark.parametrize(("side", "slippage"), [(Side.BUY, 60), (Side.SELL, -60)])
def test_an_order_costs_its_slippage_against_arrival_and_its_fee(side: Side, slippage: float) -> None:
    tally = Tally()
    tally.add(_fill("30", "101", "0.10", maker=False))
    tally.add(_fill("20", "100", "0.15", maker=True))
    order = a(Order, side=side, qty=Decimal(50), ref_px=Decimal(100))
    said = costed(order, tally, Algorithm.TWAP, 12.5, T0, T0 + 60)
    assert said is not None
    assert (said.filled_qty, said.avg_px, said.arrival_px) == (50, Decimal("100.6"), 100)
    assert (said.slippage_bps, said.fee_bps, said.total_bps) == pytest.approx((slippage, 0.5, slippage + 0.5))
    assert (said.maker_share, said.duration_ns, said.expected_bps) == (pytest.approx(0.4), 60, 12.5)
    assert (said.algorithm, said.ts_event, said.client_order_id) == (Algorithm.TWAP, T0 + 60, order.client_order_id)


@pytest.mark.req("EXE-06")
@given(
    fills=st.lists(st.tuples(decimals, decimals, decimals, st.booleans()), min_size=1, max_size=6),
    arrival=decimals,
    side=st.sampled_from(Side),
)
def test_the_shortfall_is_slippage_and_fee_and_nothing_else(
    fills: list[tuple[Decimal, Decimal, Decimal, bool]], arrival: Decimal, side: Side
) -> None:
    tally = Tally()
    for qty, px, commission, maker in fills:
        tally.add(_fill(str(qty), str(px), str(commission), maker=maker))
    said = costed(a(Order, side=side, ref_px=arrival), tally, Algorithm.MARKET, 0.0, T0, T0)
    assert said is not None
    assert said.total_bps == pytest.approx(said.slippage_bps + said.fee_bps, rel=1e-9, abs=1e-9)
    paid = sum(side.sign * qty * px + commission for qty, px, commission, _ in fills)
    on_paper = sum(side.sign * qty * arrival for qty, _, _, _ in fills)
    notional = sum(qty * arrival for qty, _, _, _ in fills)
    assert said.total_bps == pytest.approx(float((paid - on_paper) / notional) * 10_000, rel=1e-9, abs=1e-9)


def test_an_order_that_never_filled_has_no_cost() -> None:
    assert costed(a(Order), Tally(), Algorithm.MARKET, 0.0, T0, T0) is None


def test_without_an_arrival_price_nothing_has_slipped() -> None:
    tally = Tally()
    tally.add(_fill("10", "100", "1", maker=False))
    said = costed(a(Order, ref_px=Decimal(0)), tally, Algorithm.MARKET, 0.0, T0, T0)
    assert said is not None
    assert (said.slippage_bps, said.fee_bps, said.arrival_px) == (0.0, 10.0, 100)
