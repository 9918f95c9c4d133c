"""How an order is worked, chosen by expected cost (EXE-05)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages.orders import Order
from common.model.enums import Algorithm, OrderType, TimeInForce
from common.model.parties import GUARDIAN
from common.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from common.testing.builders import a
from execution.algorithms import AlgorithmSettings, Plan, choose, planned
from execution.costs import Costs, Fees
from execution.market_view import InstrumentView

NOW = 17_000 * NS_PER_DAY
DEAR = Fees(taker_bps=10.0, maker_bps=2.0)
SAME = Fees(taker_bps=2.0, maker_bps=2.0)
ON = AlgorithmSettings(enabled=True)


def market(**changes: Any) -> InstrumentView:
    """A minute moves 5 bps; the spread is 2 bps; 1000 trade."""
    plain: dict[str, Any] = {
        "mid": 100.0,
        "close": 100.0,
        "half_spread": 0.01,
        "variance": 0.0005**2,
        "volume": 1000.0,
        "bars": 100,
        "bar_ns": NS_PER_MINUTE,
    }
    return InstrumentView(**{**plain, **changes})


def order(qty: float = 1, **changes: Any) -> Order:
    plain: dict[str, Any] = {
        "qty": Decimal(str(qty)),
        "ref_px": Decimal(100),
        "order_type": OrderType.MARKET,
        "limit_px": None,
        "stop_px": None,
        "time_in_force": TimeInForce.GTC,
        "expire_ns": None,
        "algorithm": None,
    }
    return a(Order, **{**plain, **changes})


def chosen(qty: float = 1, *, view: InstrumentView | None = None, fees: Fees = DEAR, **changes: Any) -> Plan:
    settings = changes.pop("settings", ON)
    return choose(order(qty, **changes), view or market(), settings, fees, NOW)


@pytest.mark.req("EXE-05")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"settings": AlgorithmSettings()}, "algorithms are off"),
        ({"order_type": OrderType.STOP, "stop_px": Decimal(101)}, "it names its own price"),
        ({"algorithm": Algorithm.MARKET}, "asked for"),
        ({"urgency": 1.0}, "urgent"),
        ({"strategy_id": GUARDIAN}, "the guardian's"),
        ({"reduce_only": True}, "it reduces a position"),
        ({"time_in_force": TimeInForce.IOC}, "now or never"),
        ({"time_in_force": TimeInForce.FOK}, "now or never"),
        ({"view": market(bars=3)}, "the market is not known yet"),
    ],
)
def test_what_cannot_wait_goes_to_the_venue_as_it_is(changes: dict[str, Any], reason: str) -> None:
    plan = chosen(**changes)
    assert (plan.algorithm, plan.direct, plan.end_ns, plan.reason) == (Algorithm.MARKET, True, NOW, reason)


def test_an_order_with_a_limit_of_its_own_is_not_worked() -> None:
    plan = chosen(order_type=OrderType.LIMIT, limit_px=Decimal(99))
    assert (plan.algorithm, plan.direct) == (Algorithm.LIMIT, True)


def test_exits_are_worked_where_that_is_wanted() -> None:
    assert (
        chosen(reduce_only=True, settings=AlgorithmSettings(enabled=True, work_exits=True)).algorithm is Algorithm.LIMIT
    )


@pytest.mark.req("EXE-05", "EXE-06")
def test_a_market_order_costs_half_the_spread_the_takers_fee_and_its_impact() -> None:
    plan = chosen(10, urgency=1.0)
    assert plan.costs == Costs(spread_bps=pytest.approx(1.0), fee_bps=10.0, impact_bps=pytest.approx(5 * 0.1))


@pytest.mark.req("EXE-05")
def test_where_makers_pay_less_a_small_order_is_posted() -> None:
    plan = chosen()
    assert (plan.algorithm, plan.slices, plan.direct) == (Algorithm.LIMIT, 1, False)
    assert (plan.patience_ns, plan.end_ns) == (10 * NS_PER_MINUTE, NOW + 10 * NS_PER_MINUTE)
    assert plan.costs.spread_bps == pytest.approx(1.0 + 0.08 * 5)
    assert plan.costs.fee_bps == pytest.approx(2.0)
    assert plan.naive.expected_bps == pytest.approx(11 + 5 * 0.001**0.5)


@pytest.mark.req("EXE-05")
@pytest.mark.parametrize(
    "nothing_to_gain",
    [
        {"fees": SAME},
        {"view": market(bar_ns=NS_PER_DAY, variance=0.04**2)},  # who rests for a day is run over
        {"view": market(variance=0.02**2)},
        {"settings": AlgorithmSettings(enabled=True, min_saving_bps=20)},
    ],
    ids=["fees", "daily bars", "volatility", "threshold"],
)
def test_where_nothing_is_to_be_gained_it_crosses(nothing_to_gain: dict[str, Any]) -> None:
    assert chosen(**nothing_to_gain).algorithm is Algorithm.MARKET


@pytest.mark.req("EXE-05")
def test_a_posted_price_at_the_near_side_is_reached_by_the_reflection_principle() -> None:
    settings = AlgorithmSettings(enabled=True, improve=0.0, patience_bars=1)
    view = market(half_spread=0.025)  # 5 bps to go in a minute of 5 bps
    plan = chosen(10, view=view, settings=settings, algorithm=Algorithm.LIMIT)
    made = 0.3173105  # 2 Φ(-1)
    assert plan.costs.fee_bps == pytest.approx(made * 2 + (1 - made) * 10)
    assert plan.costs.spread_bps == pytest.approx(2.5 + made * 0.08 * 5)
    assert plan.costs.impact_bps == pytest.approx((1 - made) * 5 * 0.1)
    assert plan.costs.delay_bps > 0


@pytest.mark.req("EXE-05")
def test_a_large_order_is_cut_into_slices_of_standard_size() -> None:
    plan = chosen(1600, fees=SAME)
    assert plan.algorithm is Algorithm.TWAP
    assert plan.slices >= 16
    assert plan.end_ns - plan.start_ns <= ON.max_bars * NS_PER_MINUTE
    assert 1600 / plan.slices <= ON.participation * 1000


@pytest.mark.req("EXE-05")
def test_slices_that_cross_pay_the_impact_of_their_own_size() -> None:
    stubborn = AlgorithmSettings(enabled=True, adverse_selection=2.0)
    plan = chosen(100, fees=SAME, urgency=0.05, settings=stubborn)
    assert (plan.algorithm, plan.patience_ns) == (Algorithm.TWAP, 0)
    assert plan.naive.impact_bps == pytest.approx(5 * 0.1**0.5)
    assert plan.costs.impact_bps == pytest.approx(5 * (0.1 / plan.slices) ** 0.5)
    waits = (plan.slices - 1) / 3  # bars
    assert plan.costs.delay_bps == pytest.approx(0.05 * 0.05 / 0.95 * 5 * waits**0.5)


@pytest.mark.req("EXE-05")
def test_urgency_shortens_the_schedule() -> None:
    stubborn = AlgorithmSettings(enabled=True, adverse_selection=2.0)
    ends = [chosen(100, fees=SAME, urgency=urgency, settings=stubborn).end_ns for urgency in (0.0, 0.7, 0.98)]
    assert ends[0] > ends[1] > ends[2] == NOW


def test_without_volume_size_says_nothing() -> None:
    plan = chosen(1e6, fees=SAME, view=market(volume=0.0))
    assert (plan.algorithm, plan.costs.impact_bps) == (Algorithm.MARKET, 0.0)


@pytest.mark.req("EXE-05")
def test_slices_follow_the_volume_of_the_day_where_it_is_uneven() -> None:
    hours = [100.0] * 24
    hours[1] = 900.0  # the hour that begins in 30 minutes
    view = market(bar_ns=30 * NS_PER_MINUTE, volume=100.0, hours=hours, variance=0.0008**2)
    plan = choose(order(150), view, ON, SAME, NOW + 30 * NS_PER_MINUTE)
    assert plan.algorithm is Algorithm.VWAP
    assert plan.through[0] == pytest.approx(
        100 / sum(view.volume_at(plan.start_ns + i * view.bar_ns, NOW) for i in range(plan.slices))
    )
    assert plan.through[1] - plan.through[0] == pytest.approx(9 * plan.through[0])
    assert plan.through[-1] == 1.0
    flat = msgspec.structs.replace(view, hours=[100.0] * 24)
    assert choose(order(150), flat, ON, SAME, NOW + 30 * NS_PER_MINUTE).algorithm is Algorithm.TWAP


@pytest.mark.req("EXE-05")
@pytest.mark.parametrize("algorithm", [Algorithm.LIMIT, Algorithm.TWAP, Algorithm.VWAP])
def test_an_orders_own_algorithm_is_kept_to_whatever_it_costs(algorithm: Algorithm) -> None:
    plan = chosen(fees=SAME, algorithm=algorithm)
    assert (plan.algorithm, plan.direct) == (algorithm, False)


def test_what_is_too_small_to_cut_is_not_cut() -> None:
    plan = chosen(0.1, algorithm=Algorithm.TWAP)  # 10 in the quote currency
    assert (plan.algorithm, plan.reason) == (Algorithm.MARKET, "no other way fits")


def test_a_plan_ends_before_its_order_expires() -> None:
    in_time = {"time_in_force": TimeInForce.GTD, "expire_ns": NOW + NS_PER_HOUR}
    too_soon = {"time_in_force": TimeInForce.GTD, "expire_ns": NOW + 10 * NS_PER_MINUTE}
    assert chosen(**in_time).algorithm is Algorithm.LIMIT
    assert chosen(**too_soon).algorithm is Algorithm.MARKET


@pytest.mark.req("EXE-06")
def test_a_plan_is_said_with_its_costs() -> None:
    plan = chosen(order_type=OrderType.MARKET)
    said = planned(order(), plan, NOW)
    assert (said.algorithm, said.slices, said.end_ns, said.reason) == (plan.algorithm, 1, plan.end_ns, plan.reason)
    parts = said.spread_bps + said.fee_bps + said.impact_bps + said.delay_bps
    assert said.expected_bps == pytest.approx(parts)
    assert said.naive_bps == plan.naive.expected_bps


views = st.builds(
    market,
    half_spread=st.floats(0, 0.5),
    variance=st.floats(0, 1e-4),
    volume=st.sampled_from([0.0, 1.0, 1e3, 1e6]),
    bar_ns=st.sampled_from([NS_PER_MINUTE, NS_PER_HOUR, NS_PER_DAY]),
    hours=st.lists(st.floats(0, 1e4), min_size=24, max_size=24),
)
fees = st.builds(Fees, st.floats(0, 50), st.floats(-5, 50))


@pytest.mark.req("EXE-05")
@given(view=views, fees=fees, qty=st.floats(0.01, 1e5), urgency=st.floats(0, 1), min_saving=st.floats(0, 5))
def test_a_plan_never_expects_to_cost_more_than_a_market_order_of_standard_size(
    view: InstrumentView, fees: Fees, qty: float, urgency: float, min_saving: float
) -> None:
    settings = AlgorithmSettings(enabled=True, min_saving_bps=min_saving)
    plan = choose(order(qty, urgency=urgency), view, settings, fees, NOW)
    assert plan.end_ns - plan.start_ns <= max(settings.max_bars, settings.patience_bars) * view.bar_ns
    assert plan.direct == (plan.algorithm is Algorithm.MARKET)
    if view.volume <= 0 or qty <= settings.participation * view.volume:
        saving = plan.naive.expected_bps - plan.costs.expected_bps
        assert plan.algorithm is Algorithm.MARKET or saving >= min_saving - 1e-9
    if plan.through:
        assert len(plan.through) == plan.slices
        assert list(plan.through) == sorted(plan.through)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=Plan) == plan
