"""All or none of a proposal; amendments that are judged by what they add, and count at their worst until settled (RSK-02)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from common.messages import AmendApproved, AmendOrder, OrderApproved, OrderDenied, ProposeOrders, ScopeHalted
from common.messages.orders import Order
from common.model.enums import DenyCode, OrderType, TradingState
from common.runtime import snapshots
from common.testing.builders import EUR_USD, a

GBP = "GBP-USD.ECB"


def bracket(bench: Any, signed_qty: int = 10_000, **target: Any) -> tuple[Order, ...]:
    """An entry, its target and its stop; of the two exits one cancels the other."""
    entry = bench.order(signed_qty, strategy_id="hand")
    exits = {"strategy_id": "hand", "parent_id": entry.client_order_id, "reduce_only": True, "oco_group": "oco-1"}
    take = {"order_type": OrderType.LIMIT, "limit_px": Decimal("1.12"), **exits, **target}
    stop = {"order_type": OrderType.STOP, "stop_px": Decimal("1.08"), **exits}
    return entry, bench.order(-signed_qty, **take), bench.order(-signed_qty, **stop)


def propose(bench: Any, *orders: Order) -> list[Any]:
    return bench.judge.judge_proposed(a(ProposeOrders, orders=orders), bench.state, bench.now())


def amend(bench: Any, order: Order, **changes: Any) -> Any:
    plain = {"client_order_id": order.client_order_id, "qty": None, "limit_px": None, "stop_px": None}
    return bench.judge.judge_amend(a(AmendOrder, **{**plain, **changes}), bench.state, bench.now())


def working(bench: Any, signed_qty: int = 10_000, **changes: Any) -> Order:
    """A limit order that rests under the market."""
    px = Decimal("1.09") if signed_qty > 0 else Decimal("1.11")
    order = bench.order(signed_qty, order_type=OrderType.LIMIT, limit_px=px, strategy_id="hand", **changes)
    assert isinstance(bench.ask(order)[0], OrderApproved)
    return order


@pytest.mark.req("RSK-02")
def test_a_bracket_passes_as_a_whole_and_its_exits_count_as_no_position(bench: Any) -> None:
    made = bench(max_position=0.11)
    said = propose(made, *bracket(made))
    assert [(type(each), each.order.qty) for each in said] == [(OrderApproved, 10_000)] * 3
    assert made.one(-5000, GBP).rule == ""
    assert made.one(-9999).order.qty == 9999, "the exits sell nothing that the entry has not bought"


@pytest.mark.req("RSK-02")
def test_exits_are_cut_with_their_entry(bench: Any) -> None:
    made = bench(max_position=0.055)
    entry, take, stop = propose(made, *bracket(made))
    assert [each.order.qty for each in (entry, take, stop)] == [5000] * 3
    assert take.resized_from == 10_000
    assert take.rule == "CHILD_EXCEEDS_PARENT: 10000 over 5000"


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"limit_px": Decimal("NaN")}, DenyCode.PRICE_COLLAR),
        ({"limit_px": None}, DenyCode.NO_PRICE),
        ({"reduce_only": False}, DenyCode.UNSUPPORTED),
        ({"name": GBP}, DenyCode.UNSUPPORTED),
        ({"parent_id": "nobody"}, DenyCode.UNKNOWN_ORDER),
        ({"client_order_id": "o-1"}, DenyCode.DUPLICATE_ID),
        ({"oco_group": ""}, DenyCode.CHILD_EXCEEDS_PARENT),
    ],
)
def test_when_one_of_a_proposal_is_denied_none_passes_and_nothing_is_left_of_it(
    bench: Any, wrong: dict[str, Any], code: DenyCode
) -> None:
    made = bench()
    working(made)
    made.orders = 0
    before = snapshots.encode(made, 1, "mark")
    made.orders = 10
    made_bracket = bracket(made, **wrong)
    said = propose(made, *made_bracket)
    assert [(type(each), each.code) for each in said] == [(OrderDenied, code)] * 3
    assert [each.order for each in said] == list(made_bracket)
    assert snapshots.encode(made, 1, "mark") == before


@pytest.mark.req("RSK-02")
def test_a_throttle_that_a_denied_proposal_tripped_stays_tripped(bench: Any) -> None:
    made = bench(max_repeats=2)
    *denied, tripped = propose(made, *(made.order(10) for _ in range(3)))
    assert {each.code for each in denied} == {DenyCode.REPEATED_EXECUTION}
    assert len(denied) == 3
    assert isinstance(tripped, ScopeHalted)
    assert made.state.working == {}
    assert made.one(10).code is DenyCode.STRATEGY_HALTED


@pytest.mark.req("RSK-02")
def test_exits_that_can_all_fill_share_their_parent(bench: Any) -> None:
    made = bench()
    entry = made.order(10_000)
    exits = {"parent_id": entry.client_order_id, "reduce_only": True}
    said = propose(made, entry, made.order(-6000, **exits), made.order(-6000, **exits))
    assert [each.order.qty for each in said] == [10_000, 6000, 4000]
    assert made.one(-1, **exits).code is DenyCode.CHILD_EXCEEDS_PARENT


@pytest.mark.req("RSK-02", "RSK-08")
def test_while_reducing_an_exit_of_a_working_order_passes_and_a_new_bracket_does_not(bench: Any) -> None:
    made = bench()
    entry, take, stop = bracket(made)
    made.ask(entry)
    made.state.trading = TradingState.REDUCING
    assert all(isinstance(each, OrderApproved) for each in propose(made, take, stop))
    assert {each.code for each in propose(made, *bracket(made))} == {DenyCode.WOULD_INCREASE}


@pytest.mark.req("RSK-02")
def test_a_larger_quantity_is_judged_like_a_new_order_and_counts_from_its_approval(bench: Any) -> None:
    made = bench(max_position=0.22)
    order = working(made)
    approved = amend(made, order, qty=Decimal(20_000), limit_px=Decimal("1.095"))
    assert isinstance(approved, AmendApproved)
    assert (approved.order.qty, approved.order.limit_px) == (20_000, Decimal("1.095"))
    assert made.one(1).code is DenyCode.MAX_POSITION
    made.judge.on_amended(approved.order, made.state)
    denied = amend(made, order, qty=Decimal(20_001))
    assert (denied.code, denied.observed, denied.limit) == (DenyCode.MAX_POSITION, Decimal("22001.1"), 22_000)
    assert denied.order.qty == 20_001
    made.judge.on_amended(order, made.state)
    assert made.one(10_000).rule == "", "the venue works the old quantity"


@pytest.mark.req("RSK-02")
def test_a_smaller_quantity_makes_room_only_when_the_venue_has_taken_it(bench: Any) -> None:
    made = bench(max_position=0.22)
    order = working(made, 20_000)
    smaller = amend(made, order, qty=Decimal(5000))
    assert isinstance(smaller, AmendApproved)
    assert made.one(1).code is DenyCode.MAX_POSITION
    made.judge.on_amended(smaller.order, made.state)
    assert made.one(20_000).order.qty == 15_000


@pytest.mark.req("RSK-02")
def test_fills_between_request_and_answer_are_in_nobodys_way(bench: Any) -> None:
    made = bench()
    order = working(made)
    made.state.working[order.client_order_id].signed_leaves_qty = Decimal(7000)  # 3000 have filled
    approved = amend(made, order, qty=Decimal(8000))
    made.state.working[order.client_order_id].signed_leaves_qty -= 1000
    made.judge.on_amended(approved.order, made.state)
    assert made.state.working[order.client_order_id].signed_leaves_qty == 4000
    done = amend(made, order, qty=Decimal(5000))
    made.state.working[order.client_order_id].signed_leaves_qty -= 1000
    made.judge.on_amended(done.order, made.state)
    assert order.client_order_id not in made.state.working, "5000 of 5000 have filled"


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize("qty", ["0", "-1", "3000", "2999", "NaN", "Infinity"])
def test_an_amendment_to_less_than_has_filled_is_denied(bench: Any, qty: str) -> None:
    made = bench()
    order = working(made)
    made.state.working[order.client_order_id].signed_leaves_qty = Decimal(7000)
    denied = amend(made, order, qty=Decimal(qty))
    assert (denied.code, denied.limit) == (DenyCode.QTY_INVALID, 3000)
    assert made.state.working[order.client_order_id].signed_leaves_qty == 7000


@pytest.mark.req("RSK-02")
def test_a_new_price_is_judged_as_a_price(bench: Any) -> None:
    made = bench()
    order = working(made)
    assert amend(made, order, limit_px=Decimal("1.13")).code is DenyCode.PRICE_COLLAR
    resting = working(made, -500)
    assert amend(made, order, limit_px=Decimal("1.11")).code is DenyCode.SELF_TRADE
    assert isinstance(amend(made, order, limit_px=Decimal("1.1")), AmendApproved)
    assert made.one(-500, order_type=OrderType.LIMIT, limit_px=Decimal("1.095")).code is DenyCode.SELF_TRADE
    made.state.ts += 10 * 3600 * 10**9
    assert amend(made, resting, limit_px=Decimal("1.12")).code is DenyCode.STALE_PRICE
    assert isinstance(amend(made, resting, qty=Decimal(400)), AmendApproved), "less is always allowed"


@pytest.mark.req("RSK-02")
def test_an_amendment_waits_for_the_one_before(bench: Any) -> None:
    made = bench()
    order = working(made)
    assert isinstance(amend(made, order, qty=Decimal(9000)), AmendApproved)
    assert amend(made, order, qty=Decimal(8000)).code is DenyCode.UNSUPPORTED
    made.judge.on_amended(order, made.state)
    assert isinstance(amend(made, order, qty=Decimal(8000)), AmendApproved)


@pytest.mark.req("RSK-02")
def test_the_amendment_of_an_order_that_does_not_work_is_denied(bench: Any) -> None:
    made = bench()
    order = working(made)
    del made.state.working[order.client_order_id]
    denied = amend(made, order, qty=Decimal(9000))
    assert (denied.code, denied.order.client_order_id) == (DenyCode.UNKNOWN_ORDER, order.client_order_id)
    assert made.judge.on_amended(order, made.state) is None
    assert made.state.working == {}
    made.judge.remember(made.order(10, client_order_id="own", strategy_id="risk_guardian"), made.state)
    assert amend(made, made.order(client_order_id="own"), qty=Decimal(5)).code is DenyCode.UNKNOWN_ORDER


@pytest.mark.req("RSK-02", "RSK-08")
@pytest.mark.parametrize(("qty", "passes"), [(5000, True), (5001, False)])
def test_while_reducing_an_exit_grows_to_the_position_and_no_further(bench: Any, qty: int, passes: bool) -> None:
    made = bench()
    made.hold(5000)
    order = working(made, -3000)
    made.state.trading = TradingState.REDUCING
    said = amend(made, order, qty=Decimal(qty))
    assert isinstance(said, AmendApproved) is passes
    made.state.trading = TradingState.HALTED
    assert amend(made, order, qty=Decimal(2000)).code is (DenyCode.UNSUPPORTED if passes else DenyCode.TRADING_HALTED)


@pytest.mark.req("RSK-02")
def test_an_exit_grows_no_further_than_its_parent(bench: Any) -> None:
    made = bench()
    _, take, _ = said = propose(made, *bracket(made))
    assert len(said) == 3
    denied = amend(made, take.order, qty=Decimal(10_001))
    assert (denied.code, denied.observed, denied.limit) == (DenyCode.CHILD_EXCEEDS_PARENT, 10_001, 10_000)
    assert isinstance(amend(made, take.order, qty=Decimal(9000)), AmendApproved)


@pytest.mark.req("RSK-02")
def test_amendments_count_as_messages(bench: Any) -> None:
    made = bench(orders_per_minute=2)
    order = working(made)
    assert isinstance(amend(made, order, qty=Decimal(9000)), AmendApproved)
    assert made.one(10).code is DenyCode.ORDER_RATE


@pytest.mark.req("RSK-02")
def test_what_the_judge_remembers_survives_a_snapshot(bench: Any) -> None:
    made, restored = bench(max_repeats=3), bench(max_repeats=3)
    propose(made, *bracket(made))
    amend(made, working(made), qty=Decimal(20_000))
    made.hold(500, GBP, strategy_id="hand")
    made.slice()
    made.judge.halt_scope(made.state, "hand", EUR_USD, ts=made.state.ts, reason="test")
    snapshots.restore(restored, snapshots.encode(made, 1, "mark"), "mark")
    assert restored.state.flow == made.state.flow
    restored.orders = made.orders
    for signed_qty in (10_000, 10_000, 10_000, 10_000, -50):
        assert restored.one(signed_qty) == made.one(signed_qty)
