"""Drawdown ladders and the emergency stop: once per episode, most restrictive, by real orders (RSK-04, RSK-08, RSK-09)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import (
    LadderChanged,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderRejected,
    RiskStep,
    TradingStateChanged,
)
from common.model.enums import DenyCode, Side, TradingState
from common.runtime import snapshots
from common.testing.builders import EUR_USD, a
from risk_guardian import ladder
from risk_guardian.core import NAME
from risk_guardian.settings import Level, Settings
from risk_guardian.state import Ladder

LEVELS = Settings().drawdown_ladder
ACTIVE, REDUCING, HALTED = TradingState
TOMORROW = 10**19  # an operator's clock during a replay


def of(said: list[Any], kind: type) -> list[Any]:
    return [message for message in said if isinstance(message, kind)]


def losing(guard: Any, wide: Any, **limits: Any) -> Any:
    """100,000 euros long at 1.1: every cent down is 1 % of the equity."""
    guardian = guard(**{**wide, **limits})
    guardian.hold(100_000)
    assert guardian.hour(eur=1.1) == []
    return guardian


@pytest.mark.req("RSK-04")
def test_the_fx_ladder_cuts_reduces_and_halts_with_real_orders(guard: Any, wide: Any) -> None:
    guardian = losing(guard, wide)
    assert guardian.hour(eur=1.05) == []  # exactly 5 % is not more than 5 %

    changed, cut = guardian.hour(eur=1.049)
    assert (changed.level, changed.previous, changed.threshold) == (1, 0, 0.05)
    assert changed.observed == pytest.approx(0.051)
    assert changed.actions == ("cut positions to 75%", "tighten stops to 50%")
    assert (cut.order.side, cut.order.qty, cut.order.reduce_only) == (Side.SELL, 25_000, True)
    assert (cut.order.strategy_id, cut.order.order_type, cut.order.instrument_id) == (NAME, "MARKET", EUR_USD)
    guardian.fill(cut.order, 1.049)

    changed, state, cut = guardian.hour(eur=0.98)
    assert (changed.level, state.state, state.author, cut.order.qty) == (2, REDUCING, NAME, 25_000)
    guardian.fill(cut.order, 0.98)
    assert guardian.judge(10).code is DenyCode.WOULD_INCREASE

    changed, state, cut = guardian.hour(eur=0.87)
    assert (changed.level, state.state, cut.order.qty) == (3, HALTED, 25_000)
    assert "manual resume" in changed.actions
    assert guardian.judge(-10).code is DenyCode.TRADING_HALTED


@pytest.mark.req("RSK-04", "RSK-08")
def test_a_fall_through_all_levels_acts_once_as_the_last_one_says(guard: Any, wide: Any) -> None:
    guardian = losing(guard, wide)
    changed, state, cut = guardian.hour(eur=0.9)
    assert (changed.previous, changed.level, state.previous, state.state) == (0, 3, ACTIVE, HALTED)
    assert cut.order.qty == 75_000


@pytest.mark.req("RSK-08")
def test_a_level_fires_once_per_episode_and_again_in_the_next(guard: Any, wide: Any) -> None:
    guardian = losing(guard, wide)
    assert len(of(guardian.hour(eur=1.049), LadderChanged)) == 1
    for px in (1.045, 1.055, 1.048, 1.06):  # 4 % has to be regained: 1.06 is exactly that
        assert guardian.hour(eur=px) == []
    (released,) = guardian.hour(eur=1.061)
    assert (released.level, released.threshold, released.actions) == (0, 0.04, ("released",))
    assert [m.level for m in of(guardian.hour(eur=1.049), LadderChanged)] == [1]


@pytest.mark.req("RSK-08")
def test_a_cut_under_way_is_not_ordered_again(guard: Any, wide: Any) -> None:
    guardian = losing(guard, wide)
    (first,) = of(guardian.hour(eur=1.049), OrderApproved)
    (second,) = of(guardian.hour(eur=0.98), OrderApproved)  # the first has not traded yet
    assert (first.order.qty, second.order.qty) == (25_000, 25_000)


@pytest.mark.req("RSK-08")
@pytest.mark.parametrize(("equity_px", "position", "factors"), [(1.1, 100, (1.0, 1.0)), (1.049, 75, (0.75, 0.5))])
def test_every_step_says_the_factors_and_limits_shrink_with_them(
    guard: Any, wide: Any, equity_px: float, position: int, factors: tuple[float, float]
) -> None:
    guardian = losing(guard, wide, max_position=1.2)
    for cut in of(guardian.hour(eur=equity_px), OrderApproved):
        guardian.fill(cut.order, equity_px)
    (step,) = guardian.propose()
    assert (step.exposure_factor, step.stop_factor, step.trading_state) == (*factors, ACTIVE)
    assert step.gross_exposure == guardian.core.state.ledger.qty(EUR_USD) * guardian.core.state.last_px[EUR_USD]
    limit = float(step.equity) * 1.2 * factors[0]
    grown = guardian.judge(100_000)
    assert float(grown.order.qty) == pytest.approx(limit / equity_px - position * 1000, abs=1)


@pytest.mark.req("RSK-08")
def test_new_entries_come_back_after_the_time_of_the_level_but_its_cut_stays(guard: Any, wide: Any) -> None:
    guardian = losing(guard, wide)
    for cut in of(guardian.hour(eur=0.98), OrderApproved):
        guardian.fill(cut.order, 0.98)
    assert guardian.hour(24 * 30 - 1, eur=0.98) == []
    (state,) = guardian.hour(1, eur=0.98)
    assert (state.state, state.previous) == (ACTIVE, REDUCING)
    (step,) = guardian.propose()
    assert (step.trading_state, step.exposure_factor) == (ACTIVE, 0.5)


@pytest.mark.req("RSK-04", "RSK-08")
def test_the_last_level_waits_for_a_person_however_the_equity_recovers(guard: Any, wide: Any) -> None:
    guardian = losing(guard, wide)
    guardian.hour(eur=0.94)
    assert guardian.hour(24 * 400, eur=1.2) == []
    released, state = guardian.resume(author="risk officer", reason="reviewed")
    assert (released.level, released.previous) == (0, 3)
    assert (state.state, state.author, state.reason) == (ACTIVE, "risk officer", "reviewed")


@pytest.mark.req("RSK-08")
def test_a_resume_begins_a_new_episode_from_the_equity_of_now(guard: Any, wide: Any) -> None:
    guardian = losing(guard, wide)
    guardian.hour(eur=0.94)
    guardian.resume()
    assert guardian.hour(eur=0.939) == []
    (step,) = guardian.propose()
    assert step.peak_equity == 84_000
    assert step.drawdown == pytest.approx(100 / 84_000)


@pytest.mark.req("RSK-08")
@given(st.integers(0, 3), st.floats(0, 1), st.floats(0, 1))
def test_more_drawdown_never_stands_lower_and_the_ground_is_reached_only_below_its_release(
    level: int, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert ladder.next_level(LEVELS, level, low) <= ladder.next_level(LEVELS, level, high)
    stands = ladder.next_level(LEVELS, level, one)
    assert all(one <= rung.trigger for rung in LEVELS[max(stands, level) :])
    if stands < level:
        assert level < 3
        assert all(one < rung.release for rung in LEVELS[stands:level])
    assert ladder.next_level(LEVELS, stands, one) == stands  # nothing fires twice


@pytest.mark.req("RSK-08")
@given(st.integers(0, 3), st.integers(0, 10**18))
def test_levels_combine_to_the_most_restrictive(level: int, stood_ns: int) -> None:
    stricter = [ACTIVE, REDUCING, HALTED].index
    below = ladder.trading_state(LEVELS, Ladder(level=max(level - 1, 0)), stood_ns)
    assert stricter(ladder.trading_state(LEVELS, Ladder(level=level), 0)) >= stricter(below)
    assert ladder.exposure_factor(LEVELS, level) <= ladder.exposure_factor(LEVELS, max(level - 1, 0))
    assert ladder.stop_factor(LEVELS, level) <= ladder.stop_factor(LEVELS, max(level - 1, 0))


@pytest.mark.req("RSK-08")
def test_an_operators_halt_stands_above_what_a_ladder_releases(guard: Any, wide: Any) -> None:
    guardian = losing(guard, wide)
    guardian.hour(eur=0.98)
    guardian.halt()
    assert of(guardian.hour(eur=1.1), TradingStateChanged) == []
    assert guardian.propose()[-1].trading_state is HALTED


@pytest.mark.req("RSK-04")
def test_the_crypto_ladder_liquidates_at_its_second_level(guard: Any, wide: Any) -> None:
    levels = (
        Level(trigger=0.08, release=0.06, exposure_factor=0.5),
        Level(trigger=0.10, release=0.08, exposure_factor=0.0, state=HALTED, manual=True),
    )
    guardian = losing(guard, {**wide, "ladder": levels})
    (half,) = of(guardian.hour(eur=1.015), OrderApproved)
    guardian.fill(half.order, 1.015)
    (rest,) = of(guardian.hour(eur=0.96), OrderApproved)
    assert (half.order.qty, rest.order.qty) == (50_000, 50_000)


@pytest.mark.req("RSK-08")
@pytest.mark.parametrize(
    ("levels", "complaint"),
    [
        ([{"trigger": 0.1, "release": 0.1}], "Expected a release below the trigger 0.1, got 0.1"),
        (
            [{"trigger": 0.1, "release": 0.05}, {"trigger": 0.1, "release": 0.05}],
            r"Expected ladder triggers in rising order, got \[0.1, 0.1\]",
        ),
    ],
)
def test_a_ladder_that_contradicts_itself_is_refused(levels: list[dict[str, float]], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Settings(drawdown_ladder=tuple(Level(**level) for level in levels))


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
    assert restarted.core.state == guardian.core.state
    assert restarted.judge(-10).code is DenyCode.TRADING_HALTED
    assert restarted.hour(eur=1.1) == guardian.hour(eur=1.1)


@pytest.mark.req("RSK-08")
def test_without_a_price_for_what_is_held_equity_is_unknown_and_nothing_new_is_approved(guard: Any) -> None:
    guardian = guard()
    guardian.hold(5000)
    del guardian.core.state.last_px[EUR_USD]
    assert guardian.hour(yen=110.0) == []
    denied, step = guardian.propose(guardian.order(10, instrument_id="USD-JPY.ECB", ref_px=Decimal(110)))
    assert (denied.code, step.equity) == (DenyCode.NO_EQUITY, None)


@pytest.mark.req("RSK-02")
def test_what_becomes_of_an_order_frees_or_keeps_its_room(guard: Any) -> None:
    guardian = guard(max_position=0.5)
    for end in (OrderCanceled, OrderRejected):
        approved = guardian.judge(45_000)
        guardian.core.handle(a(end, client_order_id=approved.order.client_order_id))
    approved = guardian.judge(45_000)
    guardian.core.handle(a(OrderDenied, order=approved.order, by="execution"))
    approved = guardian.judge(45_000)
    guardian.fill(approved.order, 1.1, qty=20_000, leaves=25_000)
    assert guardian.judge(45_000).order.qty == 454
    (step,) = of(guardian.propose(), RiskStep)
    assert step.gross_exposure == Decimal("49999.4")
