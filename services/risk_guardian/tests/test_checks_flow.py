"""Halts of all sizes, rates, throttles, duplicates, own orders, quotes and clocks (RSK-02): what passes just so, and what not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from common.messages import HaltScope, OrderApproved, OrderCanceled, ScopeHalted
from common.messages.portfolio import Contribution, Target
from common.model.enums import DenyCode, OrderType
from common.model.time import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from common.testing.builders import EUR_USD, T0, a
from risk_guardian import flow

YEN, GBP = "USD-JPY.ECB", "GBP-USD.ECB"
LIMIT = OrderType.LIMIT


def refused(verdict: Any) -> tuple[Any, ...]:
    return verdict.code, verdict.observed, verdict.limit


def scope(strategy_id: str = "", instrument_id: str = "", halted: bool = True) -> HaltScope:
    return a(HaltScope, strategy_id=strategy_id, instrument_id=instrument_id, halted=halted)


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize(
    ("strategy", "instrument", "code"),
    [
        ("", EUR_USD, DenyCode.INSTRUMENT_HALTED),
        ("hand", "", DenyCode.STRATEGY_HALTED),
        ("hand", EUR_USD, DenyCode.STRATEGY_HALTED),
        ("", "", DenyCode.INSTRUMENT_HALTED),
        ("hand", YEN, None),
        ("book", "", None),
        ("", YEN, None),
    ],
)
def test_a_halted_strategy_or_instrument_takes_no_new_risk_and_gets_out(
    bench: Any, strategy: str, instrument: str, code: DenyCode | None
) -> None:
    made = bench()
    made.hold(5000)
    said = made.judge.on_halt_scope(scope(strategy, instrument), made.state, T0)
    assert (said.strategy_id, said.instrument_id, said.halted) == (strategy, instrument, True)
    verdict = made.one(strategy_id="hand")
    assert isinstance(verdict, OrderApproved) if code is None else verdict.code is code
    assert isinstance(made.one(-5000, strategy_id="hand"), OrderApproved)
    made.judge.on_halt_scope(scope(strategy, instrument, halted=False), made.state, T0)
    assert isinstance(made.one(strategy_id="hand"), OrderApproved)


@pytest.mark.req("RSK-02", "RSK-07")
def test_the_book_does_not_follow_the_opinion_of_a_halted_strategy(bench: Any) -> None:
    made = bench()
    shares = (
        a(Contribution, strategy_id="sma", signed_qty=Decimal(100)),
        a(Contribution, strategy_id="ema", signed_qty=Decimal(-40)),
    )
    made.ask(targets=(a(Target, instrument_id=EUR_USD, contributions=shares),))
    made.judge.halt_scope(made.state, "sma", "", ts=T0, reason="ten losses")
    assert made.one(60).code is DenyCode.STRATEGY_HALTED
    assert isinstance(made.one(-60), OrderApproved), "sma does not want that"
    assert isinstance(made.one(60, GBP), OrderApproved)


@pytest.mark.req("RSK-02")
def test_lifting_any_lifts_all_within(bench: Any) -> None:
    made = bench()
    for strategy, instrument in (("a", EUR_USD), ("a", YEN), ("b", EUR_USD), ("", EUR_USD)):
        made.judge.on_halt_scope(scope(strategy, instrument), made.state, T0)
    made.judge.on_halt_scope(scope("a", halted=False), made.state, T0)
    assert list(made.state.flow.scopes) == [f"b|{EUR_USD}", f"|{EUR_USD}"]
    made.judge.on_halt_scope(scope(halted=False), made.state, T0)
    assert made.state.flow.scopes == {}


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize("listed", ["EUR-USD", EUR_USD])
def test_on_the_restricted_list_only_exits_pass(bench: Any, listed: str) -> None:
    made = bench(restricted=(listed,))
    made.hold(5000)
    assert refused(made.one()) == (DenyCode.RESTRICTED, 0, 0)
    assert isinstance(made.one(-5000), OrderApproved)
    assert isinstance(made.one(1000, GBP), OrderApproved)


@pytest.mark.req("RSK-02", "RSK-07")
@pytest.mark.parametrize(
    ("limit", "code"), [("max_daily_loss", DenyCode.DAILY_LOSS), ("max_drawdown", DenyCode.MAX_DRAWDOWN)]
)
def test_after_too_large_a_loss_there_is_no_new_risk(bench: Any, limit: str, code: DenyCode) -> None:
    made = bench(**{limit: 0.02})
    made.state.day.opening = made.state.peak_equity
    made.hold(5000)
    made.state.equity = Decimal(98_000)
    assert isinstance(made.one(), OrderApproved)
    made.state.equity = Decimal(97_999)
    assert refused(made.one()) == (code, Decimal("0.02001"), Decimal("0.02"))
    assert isinstance(made.one(-5000), OrderApproved)


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize(
    ("limits", "code", "alone"),
    [
        ({"orders_per_minute": 2}, DenyCode.ORDER_RATE, False),
        ({"strategy_orders_per_minute": 2}, DenyCode.STRATEGY_ORDER_RATE, True),
    ],
)
def test_orders_of_all_and_of_one_strategy_are_counted_in_a_minute(
    bench: Any, limits: dict[str, Any], code: DenyCode, alone: bool
) -> None:
    made = bench(**limits)
    assert [type(made.one(10)) for _ in range(2)] == [OrderApproved] * 2
    assert refused(made.one(10)) == (code, 3, 2)
    assert isinstance(made.one(10, strategy_id="hand"), OrderApproved) is alone
    made.state.ts += NS_PER_MINUTE - 1
    assert made.one(10).code is code
    made.state.ts += 1
    assert isinstance(made.one(10), OrderApproved)


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize(
    ("limits", "alone"), [({"cancels_per_minute": 2}, False), ({"strategy_cancels_per_minute": 2}, True)]
)
def test_who_cancels_too_much_waits_with_new_risk(bench: Any, limits: dict[str, Any], alone: bool) -> None:
    made = bench(**limits)
    made.hold(5000)
    made.judge.on_cancel(a(OrderCanceled, strategy_id="book"), made.state)
    assert isinstance(made.one(), OrderApproved)
    made.judge.on_cancel(a(OrderCanceled, strategy_id="book"), made.state)
    assert refused(made.one()) == (DenyCode.CANCEL_RATE, 3, 2)
    assert isinstance(made.one(strategy_id="hand"), OrderApproved) is alone
    assert isinstance(made.one(-5000), OrderApproved)
    made.state.ts += NS_PER_MINUTE
    assert isinstance(made.one(), OrderApproved)


@pytest.mark.req("RSK-02")
def test_a_repeating_automat_is_halted_until_a_person_lets_it_go_on(bench: Any) -> None:
    made = bench(max_repeats=2, repeat_window_minutes=10)
    made.hold(-500)
    assert isinstance(made.one(100), OrderApproved), "getting out is no repeat"
    for signed_qty in (10_000, 10_000):
        assert isinstance(made.one(signed_qty), OrderApproved)
    denied, tripped = made.ask(made.order(10_000))
    assert refused(denied) == (DenyCode.REPEATED_EXECUTION, 3, 2)
    assert isinstance(tripped, ScopeHalted)
    assert (tripped.strategy_id, tripped.instrument_id, tripped.halted) == ("book", EUR_USD, True)
    made.state.ts += NS_PER_HOUR
    assert [said.code for said in made.ask(made.order(10_000))] == [DenyCode.STRATEGY_HALTED]
    assert isinstance(made.one(1000, GBP), OrderApproved)
    assert isinstance(made.one(1000, strategy_id="hand"), OrderApproved)
    made.judge.on_halt_scope(scope("book", EUR_USD, halted=False), made.state, made.state.ts)
    assert isinstance(made.one(10_000), OrderApproved)


@pytest.mark.req("RSK-02")
def test_repeats_are_forgotten_after_their_window_and_when_lifted(bench: Any) -> None:
    made = bench(max_repeats=2, repeat_window_minutes=10)
    for _ in range(6):
        assert isinstance(made.one(10), OrderApproved)
        made.state.ts += 6 * NS_PER_MINUTE
    made.one(10)
    assert made.one(10).code is DenyCode.REPEATED_EXECUTION
    made.judge.on_halt_scope(scope(halted=False), made.state, made.state.ts)
    assert isinstance(made.one(10), OrderApproved)


@pytest.mark.req("RSK-02")
def test_the_same_order_under_another_id_is_a_duplicate_within_the_window(bench: Any) -> None:
    made = bench(duplicate_window_s=10)
    made.hold(-5000)
    assert isinstance(made.one(10_000), OrderApproved)
    made.state.ts += 4 * NS_PER_SECOND
    assert refused(made.one(10_000)) == (DenyCode.DUPLICATE_CONTENT, 4, 10)
    for other in ({"strategy_id": "hand"}, {"order_type": LIMIT, "limit_px": Decimal("1.1")}):
        assert isinstance(made.one(10_000, **other), OrderApproved)
    assert isinstance(made.one(10_001), OrderApproved)
    assert isinstance(made.one(10_000, GBP), OrderApproved)
    made.state.ts += 6 * NS_PER_SECOND
    assert isinstance(made.one(10_000), OrderApproved)
    assert len(made.state.flow.contents) < 6, "what is older than the window is forgotten"


@pytest.mark.req("RSK-02")
def test_an_exit_may_be_said_twice(bench: Any) -> None:
    made = bench(duplicate_window_s=10)
    made.hold(5000)
    assert [type(made.one(-1000)) for _ in range(2)] == [OrderApproved] * 2


@pytest.mark.req("RSK-02")
def test_so_many_orders_work_at_once(bench: Any) -> None:
    made = bench(max_open_orders=2)
    made.hold(5000)
    assert [type(made.one(10)) for _ in range(2)] == [OrderApproved] * 2
    assert refused(made.one(10)) == (DenyCode.OPEN_ORDERS, 3, 2)
    assert isinstance(made.one(-5000), OrderApproved)


@pytest.mark.req("RSK-02")
def test_new_risk_in_a_minute_is_bounded_by_its_notional(bench: Any) -> None:
    made = bench(notional_per_minute=0.33)
    made.hold(-10_000)
    assert isinstance(made.one(10_000), OrderApproved), "an exit spends nothing"
    assert [type(made.one(10_000, strategy_id=who)) for who in ("a", "b", "c")] == [OrderApproved] * 3
    assert refused(made.one(1)) == (DenyCode.NOTIONAL_RATE, Decimal("33001.1"), 33_000)
    made.state.ts += NS_PER_MINUTE
    assert isinstance(made.one(1), OrderApproved)
    assert len(made.state.flow.spent) == 1


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize(
    ("resting", "limit_px", "order", "crosses"),
    [
        (-1000, "1.1", {"order_type": LIMIT, "limit_px": Decimal("1.1")}, True),
        (-1000, "1.1", {"order_type": LIMIT, "limit_px": Decimal("1.0999")}, False),
        (-1000, "1.10005", {}, True),  # a market order reaches half a spread beyond the last price
        (-1000, "1.10006", {}, False),
        (-1000, "1.11", {"order_type": OrderType.STOP, "stop_px": Decimal("1.11")}, True),
        (-1000, "1.12", {"order_type": OrderType.STOP, "stop_px": Decimal("1.11")}, False),
        (-1000, "1.1", {"order_type": LIMIT, "limit_px": Decimal("1.1"), "instrument_id": GBP}, None),
    ],
)
def test_no_order_trades_with_an_own_one(
    bench: Any, resting: int, limit_px: str, order: dict[str, Any], crosses: bool | None
) -> None:
    for sign in (1, -1):
        made = bench(price_collar=0.5)
        mirrored = {
            name: value if sign > 0 or not isinstance(value, Decimal) else Decimal("2.2") - value
            for name, value in order.items()
        }
        px = Decimal(limit_px) if sign > 0 else Decimal("2.2") - Decimal(limit_px)
        assert isinstance(made.one(sign * resting, order_type=LIMIT, limit_px=px), OrderApproved)
        verdict = made.one(sign * 500, **mirrored)
        assert verdict.code is DenyCode.SELF_TRADE if crosses else isinstance(verdict, OrderApproved)


@pytest.mark.req("RSK-02")
def test_not_even_an_exit_trades_with_an_own_order_but_a_done_one_is_no_hindrance(bench: Any) -> None:
    made = bench()
    made.hold(5000)
    resting = made.order(1000, order_type=LIMIT, limit_px=Decimal("1.1"))
    made.ask(resting)
    assert refused(made.one(-5000)) == (DenyCode.SELF_TRADE, Decimal("1.09995"), Decimal("1.1"))
    made.state.working.pop(resting.client_order_id)
    assert isinstance(made.one(-5000), OrderApproved)


@pytest.mark.req("RSK-02")
def test_a_clock_that_jumps_stops_new_risk_until_it_is_in_pace(bench: Any) -> None:
    made = bench(max_clock_jump_hours=2)
    made.hold(5000)
    made.slice()
    made.slice(2 * NS_PER_HOUR)
    assert isinstance(made.one(), OrderApproved)
    made.slice(2 * NS_PER_HOUR + 1)
    assert refused(made.one()) == (DenyCode.CLOCK_JUMP, Decimal("7200.000000001"), 7200)
    assert isinstance(made.one(-1000), OrderApproved)
    made.slice()
    assert isinstance(made.one(), OrderApproved)
    for back in (0, -NS_PER_HOUR):
        made.slice(back)
        assert made.one().code is DenyCode.CLOCK_JUMP
    assert isinstance(made.one(-1000), OrderApproved)
    made.slice()
    assert isinstance(made.one(), OrderApproved)


@pytest.mark.req("RSK-02")
def test_a_slice_that_never_came_stops_new_risk_until_the_next_one(bench: Any) -> None:
    made = bench()
    made.hold(5000)
    for step in (7, 8):
        made.slice(step=step)
        assert isinstance(made.one(), OrderApproved)
    made.slice(step=10)
    assert made.one().code is DenyCode.CLOCK_JUMP
    assert isinstance(made.one(-1000), OrderApproved)
    made.slice(step=11)
    assert isinstance(made.one(), OrderApproved)


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize("sign", [1, -1])
def test_a_decision_of_another_time_is_denied(bench: Any, sign: int) -> None:
    made = bench(stale_after_bars=2)
    made.hold(5000)
    away = sign * 2 * NS_PER_HOUR
    (verdict,) = made.ask(made.order(), ts=made.state.ts + away)
    assert isinstance(verdict, OrderApproved)
    (verdict,) = made.ask(made.order(), ts=made.state.ts + away + sign)
    assert verdict.code is DenyCode.CLOCK_JUMP
    (verdict,) = made.ask(made.order(-5000), ts=made.state.ts + away + sign)
    assert isinstance(verdict, OrderApproved)


@pytest.mark.req("RSK-02")
def test_nobody_speaks_in_the_guardians_name(bench: Any) -> None:
    assert refused(bench().one(strategy_id="risk_guardian")) == (DenyCode.UNKNOWN_ACCOUNT, 0, 0)


@pytest.mark.req("RSK-02")
def test_meters_of_many_strategies_are_bounded_and_the_idle_go_first(bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(flow, "METERS_KEPT", 4)
    made = bench()
    for strategy in ("a", "b", "c"):
        made.one(10, strategy_id=strategy)
    assert len(made.state.flow.times) == 4
    assert "order" in made.state.flow.times


@pytest.mark.req("RSK-02")
def test_terms_of_orders_that_are_done_are_forgotten(bench: Any) -> None:
    made = bench(orders_per_minute=10_000, strategy_orders_per_minute=10_000, max_repeats=10_000)
    for _ in range(300):
        order = made.order(10)
        made.ask(order)
        del made.state.working[order.client_order_id]
    assert len(made.state.flow.orders) < 100
