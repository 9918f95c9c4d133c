"""Orders that hang together (EXE-03): at the paper venue and at one outside, by the same rules."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from support.outside import Fate, Outside, order

from common.messages import CancelOrder, OrderAmended, OrderApproved, OrderCanceled, OrderDenied
from common.model.enums import DenyCode, OrderState, TimeInForce
from common.testing.builders import EUR_USD, a

pytestmark = pytest.mark.req("EXE-03")
BRACKET = ({"client_order_id": "stop", "stop_px": 1.0}, {"client_order_id": "profit", "limit_px": 1.2})


def bracket(approve: Any, **entry: Any) -> None:
    approve(100, client_order_id="entry", **entry)
    for exit_ in BRACKET:
        approve(-100, parent_id="entry", oco_group="exits", reduce_only=True, **exit_)


def alive(core: Any) -> list[str]:
    return list(core.state.orders)


def test_exits_wait_for_their_entry_and_work_from_its_fill_on(desk: Any, told: Any):
    trader = desk()
    bracket(trader.approve, limit_px=1.05)
    assert [live.state for live in trader.core.state.orders.values()] == ["ACCEPTED", "HELD", "HELD"]
    step = trader.trade(1.1)[-1]
    assert [open_.client_order_id for open_ in step.open_orders] == ["entry"]
    assert told(trader.trade(1.1, 1.1, 1.04, 1.1)) == ["filled", "submitted", "submitted", "accepted", "accepted"]
    assert trader.core.state.orders["stop"].ts_submitted == trader.now


def test_one_exit_cancels_the_other(desk: Any, told: Any):
    trader = desk()
    bracket(trader.approve)
    trader.trade(1.1)
    said = trader.trade(1.1, 1.3, 1.1, 1.2)
    assert told(said) == ["filled", "canceled"]
    assert (said[0].client_order_id, said[1].client_order_id) == ("profit", "stop")
    assert (alive(trader.core), trader.held()) == ([], 0)


def test_of_two_exits_inside_one_bar_the_stop_is_taken(desk: Any, only: Any):
    trader = desk()
    trader.approve(100, client_order_id="entry")
    for exit_ in reversed(BRACKET):
        trader.approve(-100, parent_id="entry", oco_group="exits", reduce_only=True, **exit_)
    trader.trade(1.1)
    said = trader.trade(1.1, 1.3, 0.9, 1.1)
    assert said[0].client_order_id == "stop"
    assert trader.held() == 0


def test_exits_grow_with_an_entry_that_fills_in_parts(desk: Any, only: Any):
    trader = desk(participation=0.5)
    bracket(trader.approve)
    trader.trade(1.1, volume=60.0)
    assert {name: live.order.qty for name, live in trader.core.state.orders.items()} == {
        "entry": 100,
        "stop": 30,
        "profit": 30,
    }
    said = trader.trade(1.1, volume=100.0)
    assert [(m.order.client_order_id, m.order.qty) for m in only(said, OrderAmended)] == [("stop", 80), ("profit", 80)]


def test_an_exit_that_fills_ends_the_rest_of_its_entry(desk: Any, only: Any):
    trader = desk(participation=0.5)
    bracket(trader.approve)
    trader.trade(1.1, volume=60.0)
    trader.approve(5, client_order_id="other", limit_px=0.5)
    trader.core.state.paper.orders["entry"].ts_sent += 10**18  # it meets no market any more
    said = trader.trade(0.99, volume=1000.0)
    assert [m.client_order_id for m in only(said, OrderCanceled)] == ["profit", "entry"]
    assert (alive(trader.core), trader.held()) == (["other"], 0)


@pytest.mark.parametrize("end", ["expired", "canceled", "rejected"])
def test_exits_end_with_an_entry_that_never_filled(desk: Any, told: Any, end: str):
    trader = desk(reject_rate=1.0 if end == "rejected" else 0.0)
    expiry = {"time_in_force": TimeInForce.GTD, "expire_ns": trader.now + 1} if end == "expired" else {}
    bracket(trader.approve, limit_px=1.0, **expiry)
    if end == "canceled":
        said = trader.hear(a(CancelOrder, client_order_id="entry"))
        assert told(said) == ["canceled", "canceled", "canceled"]
    trader.trade(1.1)
    assert alive(trader.core) == []


def test_fills_of_one_are_taken_off_the_other(desk: Any):
    trader = desk(max_qty_per_bar=30)
    trader.approve(100, limit_px=1.05, oco_group="g", client_order_id="low")
    trader.approve(100, stop_px=1.15, oco_group="g", client_order_id="high")
    trader.trade(1.1, 1.1, 1.04, 1.1)
    orders = trader.core.state.orders
    assert (orders["low"].leaves_qty, orders["high"].order.qty) == (70, 70)
    trader.trade(1.1, 1.16, 1.1, 1.16)
    assert (orders["high"].leaves_qty, orders["low"].leaves_qty) == (40, 40)


def test_a_rejected_exit_leaves_the_other_its_work():
    world = Outside()
    bracket(world.approve)
    world.settle()
    world.fill("entry")
    world.report(world.mail.pop())
    stop, profit = world.effects
    world.carry_out(profit, Fate.REFUSED)
    world.carry_out(stop)
    assert alive(world.core) == ["stop"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"parent_id": "nobody's"}, DenyCode.UNKNOWN_ORDER),
        ({"parent_id": "child"}, DenyCode.UNSUPPORTED),
        ({"parent_id": "entry", "signed_qty": -101}, DenyCode.CHILD_EXCEEDS_PARENT),
    ],
)
def test_a_child_needs_a_parent_that_is_at_least_as_large(desk: Any, changes: dict[str, Any], code: DenyCode):
    trader = desk()
    trader.approve(100, client_order_id="entry")
    (denied,) = trader.approve(**{"signed_qty": -100, "client_order_id": "child", "reduce_only": True, **changes})
    assert isinstance(denied, OrderDenied)
    assert denied.code is code


@pytest.mark.parametrize(
    "changes",
    [
        {"time_in_force": TimeInForce.GTD},
        {"post_only": True},
        {"post_only": True, "limit_px": 1.0, "stop_px": 1.0},
        {"post_only": True, "limit_px": 1.0, "time_in_force": TimeInForce.IOC},
    ],
)
def test_combinations_that_no_venue_could_live_by_are_denied(desk: Any, changes: dict[str, Any]):
    (denied,) = desk().approve(**changes)
    assert denied.code is DenyCode.UNSUPPORTED


@pytest.mark.parametrize("px", [{"limit_px": 1.0}, {"stop_px": 1.2}])
def test_prices_that_are_missing_are_denied(desk: Any, px: dict[str, Any]):
    trader = desk()
    bare = msgspec.structs.replace(order(**px), limit_px=None, stop_px=None)
    (denied,) = trader.hear(OrderApproved(ts_event=trader.now, order=bare, step=trader.step))
    assert denied.code is DenyCode.UNSUPPORTED


# --- outside -----------------------------------------------------------------------------------------


def test_at_a_venue_outside_the_bracket_lives_by_the_same_rules():
    world = Outside()
    bracket(world.approve)
    world.settle()
    assert world.created == {"entry": 1}
    world.fill("entry", 40)
    world.settle()
    assert {name: world.book[name].order.qty for name in ("stop", "profit")} == {"stop": 40, "profit": 40}
    world.fill("entry")
    world.settle()
    assert {name: world.book[name].order.qty for name in ("stop", "profit")} == {"stop": 100, "profit": 100}
    world.fill("profit", 70)
    world.settle()
    assert world.book["stop"].order.qty == 30
    world.fill("stop")
    world.settle()
    assert (alive(world.core), world.positions()[EUR_USD]) == ([], 0)


def test_an_entry_that_is_filled_late_gets_its_exits_when_it_was_partly_filled():
    world = Outside()
    bracket(world.approve, limit_px=1.05)
    world.settle()
    world.fill("entry", 40)
    world.settle()
    world.fill("entry", 10)
    world.hear(a(CancelOrder, client_order_id="entry"))
    world.carry_out(world.effects[0])
    assert "entry" not in world.core.state.orders
    world.settle()
    assert {name: world.book[name].order.qty for name in ("stop", "profit")} == {"stop": 50, "profit": 50}


def test_after_a_restart_the_bracket_goes_on():
    world = Outside()
    bracket(world.approve)
    world.settle()
    world.fill("entry")
    world.restart()
    world.settle()
    assert [world.core.state.orders[name].state for name in ("stop", "profit")] == [OrderState.ACCEPTED] * 2
    assert world.created == {"entry": 1, "stop": 1, "profit": 1}
