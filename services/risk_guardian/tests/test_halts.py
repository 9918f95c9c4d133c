"""Halts of every size: the emergency stop, halted strategies and instruments, a lost venue (RSK-07, RSK-09)."""

from __future__ import annotations

from typing import Any

import pytest

from common.messages import (
    AmendApproved,
    AmendOrder,
    AmendRejected,
    HaltScope,
    LadderChanged,
    OrderApproved,
    OrderDenied,
    OrderRejected,
    ProposeOrders,
    RunStress,
    StressTested,
    TradingStateChanged,
    VenueHealth,
)
from common.model.enums import DenyCode, TradingState
from common.runtime import snapshots
from common.testing.builders import EUR_USD, a
from risk_guardian.policy import CONNECTION, Level
from risk_guardian.verdict import NAME

ACTIVE, REDUCING, HALTED = TradingState
TOMORROW = 10**19  # an operator's clock during a replay


def of(said: list[Any], kind: type) -> list[Any]:
    return [message for message in said if isinstance(message, kind)]


@pytest.mark.req("RSK-08")
def test_an_operators_halt_stands_above_what_a_ladder_releases(guard: Any, wide: Any) -> None:
    guardian = guard(**wide)
    guardian.hold(100_000)
    guardian.hour(eur=0.98)
    guardian.halt()
    assert of(guardian.hour(eur=1.1), TradingStateChanged) == []
    assert guardian.propose()[-1].trading_state is HALTED


@pytest.mark.req("RSK-09")
def test_a_halt_is_answered_at_once_and_denies_everything_until_the_resume(guard: Any) -> None:
    guardian = guard()
    guardian.hold(5000)
    (state,) = guardian.halt(author="operator", reason="drill")
    assert (state.state, state.previous, state.author, state.reason) == (HALTED, ACTIVE, "operator", "drill")
    assert guardian.judge(-10).code is DenyCode.TRADING_HALTED
    assert [m.state for m in guardian.resume()] == [ACTIVE]
    assert isinstance(guardian.judge(-10), OrderApproved)


@pytest.mark.req("RSK-09")
def test_a_second_halt_is_answered_too_because_execution_waits_for_it(guard: Any) -> None:
    guardian = guard()
    guardian.halt()
    assert [(m.state, m.previous) for m in guardian.halt()] == [(HALTED, HALTED)]


@pytest.mark.req("RSK-09")
def test_a_halt_by_nobody_in_particular_is_a_halt(guard: Any) -> None:
    guardian = guard()
    guardian.halt(author="")
    assert guardian.hour(eur=1.1) == []
    assert guardian.propose()[-1].trading_state is HALTED


@pytest.mark.req("RSK-09")
def test_flattening_closes_every_position_with_orders_of_the_markets_time(guard: Any) -> None:
    guardian = guard()
    guardian.hold(5000)
    guardian.fill(guardian.order(-3000, instrument_id="USD-JPY.ECB"), 110)
    state, *orders = guardian.halt(flatten=True, ts_event=TOMORROW)
    assert [(m.order.instrument_id, m.order.signed_qty) for m in orders] == [(EUR_USD, -5000), ("USD-JPY.ECB", 3000)]
    assert {m.ts_event for m in (state, *orders)} == {guardian.ts}
    assert all(m.order.reduce_only and m.order.strategy_id == NAME for m in orders)
    assert len({m.order.client_order_id for m in orders}) == 2


@pytest.mark.req("RSK-09")
def test_flattening_goes_on_until_nothing_is_left(guard: Any) -> None:
    guardian = guard()
    guardian.hold(5000)
    late = guardian.judge(1000)
    _, order = guardian.halt(flatten=True)
    assert guardian.hour(eur=1.1) == []  # under way
    guardian.core.handle(a(OrderRejected, client_order_id=order.order.client_order_id))
    guardian.fill(late.order, 1.1)  # it traded before execution heard of the halt
    (again,) = guardian.hour(eur=1.1)
    assert again.order.signed_qty == -6000
    guardian.fill(again.order, 1.1)
    assert guardian.hour(eur=1.1) == []
    guardian.resume()
    guardian.hold(10)
    assert guardian.hour(eur=1.1) == []


@pytest.mark.req("RSK-09")
@pytest.mark.parametrize("flatten", [False, True])
def test_a_halt_survives_a_restart(guard: Any, flatten: bool) -> None:
    guardian, restarted = guard(), guard()
    guardian.hold(5000)
    guardian.halt(flatten=flatten)
    snapshots.restore(restarted.core, snapshots.encode(guardian.core, 1, "mark"), "mark")
    assert snapshots.encode(restarted.core, 1, "mark") == snapshots.encode(guardian.core, 1, "mark")
    assert restarted.judge(-10).code is DenyCode.TRADING_HALTED
    assert restarted.hour(eur=1.1) == guardian.hour(eur=1.1)


@pytest.mark.req("RSK-09")
def test_nothing_that_is_told_between_halt_and_resume_lets_an_order_pass(guard: Any) -> None:
    guardian = guard(ladders={"connection": CONNECTION})
    guardian.hold(5000)
    guardian.halt()
    guardian.tell(a(HaltScope, strategy_id="", instrument_id="", halted=False))
    guardian.tell(a(VenueHealth, usable=True))
    for qty in (10, -10, -10_000):
        assert guardian.judge(qty).code is DenyCode.TRADING_HALTED
    (denied,) = guardian.tell(a(ProposeOrders, orders=(guardian.order(-10),)))
    assert denied.code is DenyCode.TRADING_HALTED


@pytest.mark.req("RSK-07", "RSK-09")
def test_a_halted_scope_takes_no_new_risk_but_may_get_out_until_it_is_lifted(guard: Any) -> None:
    guardian = guard()
    guardian.hold(5000)
    scope = {"strategy_id": "", "instrument_id": EUR_USD, "author": "risk officer", "reason": "odd prices"}
    (said,) = guardian.tell(a(HaltScope, **scope, halted=True, ts_event=TOMORROW))
    assert (said.halted, said.instrument_id, said.author, said.ts_event) == (True, EUR_USD, "risk officer", guardian.ts)
    assert guardian.judge(10).code is DenyCode.INSTRUMENT_HALTED
    assert isinstance(guardian.judge(-10), OrderApproved)
    (said,) = guardian.tell(a(HaltScope, **scope, halted=False))
    assert not said.halted
    assert isinstance(guardian.judge(10), OrderApproved)


@pytest.mark.req("RSK-07")
def test_a_venue_out_of_reach_first_stops_new_risk_then_everything_until_it_is_back(guard: Any) -> None:
    guardian = guard(ladders={"connection": (Level(trigger=7200, release=1, state=REDUCING),)})
    guardian.hold(5000)
    lost = a(VenueHealth, usable=False, connected=False)
    assert guardian.tell(lost) == []
    assert guardian.hour(2, eur=1.1) == []
    assert guardian.tell(lost) == []  # said again is not lost anew
    changed, state = guardian.hour(eur=1.1)
    assert (changed.ladder, changed.observed, state.state) == ("connection", 10_800, REDUCING)
    guardian.tell(a(VenueHealth, usable=True))
    released, state = guardian.hour(eur=1.1)
    assert (released.level, state.state) == (0, ACTIVE)


@pytest.mark.req("RSK-07")
def test_the_shipped_policy_halts_after_five_minutes_without_the_venue_and_needs_nobody_to_go_on(guard: Any) -> None:
    guardian = guard(ladders={"connection": CONNECTION})
    guardian.tell(a(VenueHealth, usable=False))
    changed, state = guardian.hour(eur=1.1)
    assert (changed.level, state.state) == (2, HALTED)
    guardian.tell(a(VenueHealth, usable=True))
    assert guardian.hour(eur=1.1)[-1].state is ACTIVE


@pytest.mark.req("EXE-03", "RSK-02")
def test_an_operators_orders_are_judged_like_anybodys(guard: Any) -> None:
    guardian = guard(max_position=0.5)
    good, large = (
        guardian.order(1000, strategy_id="manual"),
        guardian.order(1000, strategy_id="manual", account="other"),
    )
    assert [type(each) for each in guardian.tell(a(ProposeOrders, orders=(good, large)))] == [OrderDenied, OrderDenied]
    (approved,) = guardian.tell(a(ProposeOrders, orders=(guardian.order(1000, strategy_id="manual"),)))
    assert isinstance(approved, OrderApproved)
    assert guardian.core.state.working.keys() == {approved.order.client_order_id}


@pytest.mark.req("EXE-03", "RSK-02")
def test_an_amendment_is_judged_and_its_room_comes_back_when_the_venue_refuses_it(guard: Any) -> None:
    guardian = guard(max_position=0.5)
    approved = guardian.judge(10_000, limit_px=guardian.core.state.last_px[EUR_USD], order_type="LIMIT")
    amend = {"client_order_id": approved.order.client_order_id, "limit_px": None, "stop_px": None}
    (denied,) = guardian.tell(a(AmendOrder, **amend, qty=approved.order.qty * 10))
    assert isinstance(denied, OrderDenied)
    (better,) = guardian.tell(a(AmendOrder, **amend, qty=approved.order.qty * 4))
    assert isinstance(better, AmendApproved)
    room = guardian.judge(45_000).order
    guardian.core.handle(a(OrderRejected, client_order_id=room.client_order_id))
    guardian.tell(a(AmendRejected, order=approved.order))
    assert guardian.judge(45_000).order.qty == room.qty + 30_000


@pytest.mark.req("RSK-10")
def test_stress_tests_are_run_on_demand(guard: Any) -> None:
    guardian = guard()
    assert guardian.tell(a(RunStress, author="risk officer")) == []
    assert [each.asked_by for each in guardian.noted if isinstance(each, StressTested)] == ["risk officer"]


@pytest.mark.req("RSK-08", "RSK-09")
def test_a_resume_gives_up_cuts_that_are_not_done_and_begins_new_episodes_of_all_ladders(guard: Any, wide: Any) -> None:
    daily = (Level(trigger=0.04, release=0.01, exposure_factor=0.6, state=REDUCING),)
    guardian = guard(**wide, ladders={"daily_loss": daily})
    guardian.hold(100_000)
    (cut,) = of(guardian.hour(eur=1.049), OrderApproved)
    said = guardian.resume()
    assert [(each.ladder, each.level) for each in of(said, LadderChanged)] == [("drawdown", 0), ("daily_loss", 0)]
    assert [each.state for each in of(said, TradingStateChanged)] == [ACTIVE]
    guardian.core.handle(a(OrderRejected, client_order_id=cut.order.client_order_id))
    assert guardian.hour(eur=1.049) == []
