"""Orders that an algorithm works in parts: parts are orders like any, and never more than the whole (EXE-05)."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from common.messages import (
    CancelOrder,
    ExecutionPlanned,
    HaltTrading,
    IntentFailed,
    OrderAccepted,
    OrderCanceled,
    OrderCosted,
    OrderDenied,
    OrderFilled,
    OrderSubmitted,
)
from common.model.enums import Algorithm, OrderState
from common.model.money import ZERO
from common.testing.builders import a
from execution.algorithms import AlgorithmSettings
from execution.working import _send_part

pytestmark = pytest.mark.req("EXE-05")
ON = AlgorithmSettings(enabled=True, max_bars=8, patience_bars=2)


def warm(desk: Any, bars: int = 30, **settings: Any) -> Any:
    """A market that is known well enough to plan by."""
    trader = desk(algorithms=ON, **settings)
    for i in range(bars):
        trader.trade(1.1 + 0.0001 * (i % 2))
    return trader


def hours(trader: Any, count: int, px: float = 1.1) -> list[Any]:
    return [message for _ in range(count) for message in trader.trade(px)]


def kinds(said: Any, *wanted: type) -> list[Any]:
    return [message for message in said if isinstance(message, wanted)]


def test_the_plan_is_said_and_parts_go_out_under_ids_of_the_whole(desk: Any):
    trader = warm(desk)
    said = trader.approve(120, client_order_id="o", algorithm=Algorithm.TWAP)
    assert isinstance(said[0], ExecutionPlanned)
    assert said[0].algorithm is Algorithm.TWAP
    part = kinds(said, OrderSubmitted)[0].order
    assert (part.client_order_id, part.parent_id) == ("o-c1", "o")
    assert kinds(said, OrderAccepted)[0].client_order_id == "o-c1"


def test_fills_and_the_end_are_the_wholes(desk: Any):
    trader = warm(desk, report_costs=True)
    plan = trader.approve(120, client_order_id="o", algorithm=Algorithm.TWAP)[0]
    said = hours(trader, 12)
    fills = kinds(said, OrderFilled)
    assert len(fills) > 1
    assert [fill.fill_id for fill in fills] == [f"o-F{n}" for n in range(1, len(fills) + 1)]
    assert [fill.leaves_qty for fill in fills][-1] == 0
    assert fills[-1].ts_event <= plan.end_ns + 3600 * 10**9
    (costed,) = kinds(said, OrderCosted)
    assert (costed.client_order_id, costed.algorithm, costed.filled_qty) == ("o", Algorithm.TWAP, 120)
    assert costed.expected_bps == plan.expected_bps
    assert (trader.core.state.orders, trader.held()) == ({}, 120)


def test_open_orders_count_the_whole_once(desk: Any):
    trader = warm(desk)
    trader.approve(120, client_order_id="o", algorithm=Algorithm.TWAP)
    *said, step = trader.trade(1.1)
    left = 120 - sum(fill.last_qty for fill in kinds(said, OrderFilled))
    assert [(o.client_order_id, o.signed_leaves_qty) for o in step.open_orders] == [("o", left)]


@pytest.mark.parametrize("word", [a(HaltTrading), a(CancelOrder, client_order_id="o")], ids=["halt", "cancel"])
def test_a_stop_or_a_cancel_ends_the_whole_and_its_parts(desk: Any, word: Any):
    trader = warm(desk)
    trader.approve(120, client_order_id="o", algorithm=Algorithm.LIMIT)
    (canceled,) = kinds(trader.hear(word), OrderCanceled)
    assert (canceled.client_order_id, canceled.leaves_qty) == ("o", 120)
    assert (trader.core.state.orders, trader.core.state.paper.orders) == ({}, {})
    assert kinds(hours(trader, 12), OrderFilled, OrderSubmitted) == []


def test_a_stop_while_a_part_is_being_recorded_lets_nothing_out(desk: Any):
    trader = warm(desk)
    trader.approve(120, client_order_id="o", algorithm=Algorithm.TWAP, record=False)
    trader.hear(a(HaltTrading), record=False)
    assert kinds(trader.hear(a(IntentFailed, client_order_id="o")), OrderSubmitted) == []
    assert trader.core.state.orders == {}


def test_an_order_is_worked_in_parts_only_where_that_is_switched_on(desk: Any):
    trader = desk()
    hours(trader, 30)
    said = trader.approve(120, client_order_id="o", algorithm=Algorithm.TWAP)
    assert [type(message) for message in said] == [OrderSubmitted, OrderAccepted]
    assert trader.core.state.view.instruments == {}


def test_a_part_beyond_the_whole_is_denied_by_execution_itself(desk: Any):
    trader = warm(desk)
    trader.approve(120, client_order_id="o", algorithm=Algorithm.TWAP)
    ctx = trader.core._ctx
    whole = ctx.state.orders["o"]
    ctx.out = []
    _send_part(ctx, whole, a(type(whole.order), client_order_id="o-c99", qty=Decimal(121)))
    (denied,) = ctx.out
    assert (denied.code, denied.limit) == ("CHILD_EXCEEDS_PARENT", 120)


def test_a_whole_whose_parts_are_all_rejected_ends(desk: Any):
    trader = warm(desk)
    trader.core._ctx.paper._reject_rate = 1.0
    trader.approve(120, client_order_id="o", algorithm=Algorithm.TWAP)
    (canceled,) = kinds(hours(trader, 12), OrderCanceled)
    assert (canceled.client_order_id, canceled.reason) == ("o", "the market does not take the rest")


@pytest.mark.parametrize("seed", range(60))
def test_parts_in_flight_and_filled_are_never_more_than_the_whole(desk: Any, seed: int):
    chance = Random(seed)
    trader = warm(desk, max_qty_per_bar=chance.choice([0, 30]))
    trader.core._ctx.paper._reject_rate = chance.choice([0, 0.3])
    for name in ("o", "p"):
        way = chance.choice([Algorithm.TWAP, Algorithm.VWAP, Algorithm.LIMIT])
        trader.approve(chance.choice([120, -120]), client_order_id=name, algorithm=way)
    for _ in range(20):
        if chance.random() < 0.05:
            trader.hear(a(CancelOrder, client_order_id=chance.choice("op")))
        said = trader.trade(1.1 + chance.randrange(-5, 6) / 10_000)
        for name in ("o", "p"):
            state = trader.core.state
            parts = [live for live in state.orders.values() if live.worked_for == name]
            if (whole := state.orders.get(name)) is not None:
                assert whole.cum_qty + sum((part.leaves_qty for part in parts), ZERO) <= whole.order.qty
                assert whole.state in {OrderState.HELD, OrderState.PARTIALLY_FILLED}
            else:
                assert parts == []
        assert kinds(said, OrderDenied) == []  # the schedule keeps to it, the check behind it has nothing to do
    assert trader.core.state.orders == {}
