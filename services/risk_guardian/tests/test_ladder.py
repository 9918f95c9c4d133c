"""Risk ladders: once per episode, with hysteresis, the most restrictive, by real orders (RSK-04 to RSK-08)."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import LadderChanged, OrderApproved, OrderCanceled, OrderDenied, OrderRejected, RiskStep
from common.model.enums import DenyCode, Side, TradingState
from common.model.instrument import Instrument
from common.model.time import NS_PER_DAY
from common.runtime import snapshots
from common.testing.builders import EUR_USD, a
from risk_guardian import ladder
from risk_guardian.ladder import Restriction
from risk_guardian.policy import CORRELATION, DAILY_LOSS, DRAWDOWN, METRICS, VAR, VOLATILITY, Ladders, Level
from risk_guardian.state import Ladder
from risk_guardian.verdict import NAME

ACTIVE, REDUCING, HALTED = TradingState
EUR = a(Instrument)
YEN = a(Instrument, instrument_id="USD-JPY.ECB", base="USD", quote="JPY")
GBP = a(Instrument, instrument_id="GBP-USD.ECB", base="GBP")
USD_JPY = "USD-JPY.ECB"


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


@pytest.mark.req("RSK-04")
def test_what_the_third_level_leaves_does_not_run_on_unattended_to_the_bottom(guard: Any, wide: Any) -> None:
    guardian = losing(guard, wide)
    (cut,) = of(guardian.hour(eur=0.94), OrderApproved)
    guardian.fill(cut.order, 0.94)
    changed, rest = guardian.hour(eur=0.7)
    assert (changed.level, changed.previous, rest.order.qty) == (4, 3, 25_000)


# --- the other ladders ---------------------------------------------------------------------------------


def swinging(guard: Any, wide: Any, days: int, size: float, **given: Any) -> Any:
    """So many days in which the euro goes up and down by `size`; nothing is held."""
    guardian = guard(**wide, **given)
    for day in range(days):
        guardian.hour(24, eur=1.1 * (1 + size * (day % 2)), yen=110.0)
    return guardian


@pytest.mark.req("RSK-06")
def test_a_var_over_its_levels_cuts_then_halts_until_somebody_approves(guard: Any, wide: Any) -> None:
    guardian = swinging(guard, wide, 60, 0.01, ladders={"var": VAR})
    guardian.hold(13_500, 1.1)  # 1.645 deviations of 1 % of 14.85 % of the equity
    assert guardian.hour(eur=1.1) == []
    assert guardian.propose()[-1].var_95_1d == pytest.approx(0.00244, abs=5e-5)

    guardian.hold(6_500, 1.1)
    changed, cut = guardian.hour(eur=1.1)
    assert (changed.ladder, changed.level, changed.threshold, cut.order.qty) == ("var", 1, 0.003, 5_000)
    assert changed.observed > 0.003
    guardian.fill(cut.order, 1.1)
    assert guardian.hour(eur=1.1) == []  # its own cut does not release it

    guardian.hold(35_000, 1.1)
    changed, state, cut = guardian.hour(eur=1.1)
    assert (changed.level, state.state) == (2, HALTED)
    assert cut.order.qty == 15_000  # closes 30 % of what is there
    guardian.fill(cut.order, 1.1)
    guardian.hold(-35_000, 1.1)
    assert guardian.hour(eur=1.1) == []  # flat, and still halted
    assert len(of(guardian.resume(), LadderChanged)) == 1
    assert guardian.propose()[-1].trading_state is ACTIVE


@pytest.mark.req("RSK-05")
def test_a_doubled_volatility_cuts_and_filters_signals_a_tripled_one_closes_the_most_volatile(
    guard: Any, wide: Any
) -> None:
    guardian = swinging(guard, wide, 280, 0.002, ladders={"volatility": VOLATILITY})
    guardian.hold(10_000, 1.1)
    guardian.fill(guardian.order(10_000, instrument_id=USD_JPY), 110)
    said: list[Any] = []
    for day in range(20):  # only the euro swings
        for message in guardian.hour(24, eur=1.1 * (1 + 0.01 * (day % 2)), yen=110.0 + 0.1 * (day % 2)):
            said.append(message)
            if isinstance(message, OrderApproved):
                guardian.fill(message.order, float(message.order.ref_px))
    first, second = of(said, LadderChanged)
    assert (first.level, first.ladder, second.level) == (1, "volatility", 2)
    cuts = [(each.order.instrument_id, each.order.qty) for each in of(said, OrderApproved)]
    assert cuts[:2] == [(EUR_USD, 3_000), (USD_JPY, 3_000)]  # 30 % of each
    assert {name for name, _ in cuts[2:]} == {EUR_USD}  # then the one that swings
    (step,) = guardian.propose()
    assert (step.exposure_factor, step.min_confidence, step.trading_state) == (0.4, 0.6, REDUCING)


@pytest.mark.req("RSK-07")
def test_a_correlation_spike_moves_everything_to_cash(guard: Any, wide: Any) -> None:
    guardian = guard(**wide, ladders={"correlation": CORRELATION})
    guardian.define(EUR, YEN, GBP)
    guardian.hold(10_000, 1.1)
    said: list[Any] = []
    while not said:
        move = 1 + 0.01 * (guardian.step % 3)
        said = guardian.hour(24, eur=1.1 * move, yen=110 * move, gbp=1.25 / move)
    changed, state, cash = said
    assert (changed.ladder, changed.threshold, state.state, cash.order.qty) == ("correlation", 0.9, REDUCING, 10_000)
    assert changed.observed > 0.9
    assert snapshots.encode(guardian.core, 1, "")  # a number of numpy would stop the guardian here
    guardian.fill(cash.order, 1.1)
    for hour in range(23):  # not before its day is over, though the markets part
        assert guardian.hour(eur=1.1 * (1 + 0.01 * (hour % 2)), yen=110.0, gbp=1.25) == []


@pytest.mark.req("RSK-07")
def test_a_daily_loss_stops_new_risk_for_the_rest_of_the_utc_day_however_prices_recover(guard: Any, wide: Any) -> None:
    guardian = losing(guard, {**wide, "ladders": {"daily_loss": DAILY_LOSS}})
    changed, state = guardian.hour(eur=1.079)
    assert (changed.ladder, changed.observed, state.state) == ("daily_loss", pytest.approx(0.021), REDUCING)
    assert guardian.judge(10).code is DenyCode.WOULD_INCREASE
    assert isinstance(guardian.judge(-10), OrderApproved)
    while (guardian.ts - 1) // NS_PER_DAY == (guardian.ts + 3_600 * 10**9 - 1) // NS_PER_DAY:
        assert guardian.hour(eur=1.1) == []
    released, state = guardian.hour(eur=1.1)
    assert (released.level, state.state) == (0, ACTIVE)


@pytest.mark.req("RSK-07")
def test_a_day_of_one_bar_can_lose_too(guard: Any, wide: Any) -> None:
    guardian = losing(guard, {**wide, "ladders": {"daily_loss": DAILY_LOSS}})
    assert guardian.hour(24, eur=1.1) == []
    changed, _ = guardian.hour(24, eur=1.075)
    assert changed.observed == pytest.approx(0.025)
    released, _ = guardian.hour(24, eur=1.075)
    assert released.level == 0


# --- what one cuts, another does not cut again ----------------------------------------------------------------------


@pytest.mark.req("RSK-08")
def test_ladders_that_fire_together_cut_once_by_the_smaller_factor(guard: Any, wide: Any) -> None:
    daily = (Level(trigger=0.02, release=0.01, exposure_factor=0.6),)
    guardian = losing(guard, {**wide, "ladders": {"daily_loss": daily}})
    *changed, cut = guardian.hour(eur=1.049)
    assert [each.ladder for each in changed] == ["drawdown", "daily_loss"]
    assert cut.order.qty == 40_000
    assert guardian.hour(eur=1.049) == []


@pytest.mark.req("RSK-08")
def test_a_ladder_that_fires_later_cuts_only_what_is_missing(guard: Any, wide: Any) -> None:
    daily = (Level(trigger=0.05, release=0.01, exposure_factor=0.5),)
    weaker = (Level(trigger=0.06, release=0.01, exposure_factor=0.9),)
    guardian = losing(guard, {**wide, "ladder": weaker, "ladders": {"daily_loss": daily}})
    (half,) = of(guardian.hour(eur=1.045), OrderApproved)
    guardian.fill(half.order, 1.045)
    (changed,) = guardian.hour(eur=0.97)
    assert (half.order.qty, changed.ladder) == (50_000, "drawdown")


@pytest.mark.req("RSK-08")
def test_a_cut_that_does_not_come_about_is_ordered_again_until_it_has(guard: Any, wide: Any) -> None:
    guardian = losing(guard, wide)
    (cut,) = of(guardian.hour(eur=1.049), OrderApproved)
    assert guardian.hour(eur=1.049) == []  # under way
    guardian.fill(cut.order, 1.049, qty=5_000, leaves=20_000)
    guardian.core.handle(a(OrderCanceled, client_order_id=cut.order.client_order_id, instrument_id=EUR_USD))
    (again,) = guardian.hour(eur=1.049)
    assert again.order.qty == 20_000
    guardian.fill(again.order, 1.049)
    assert guardian.hour(eur=1.049) == []


# --- laws ------------------------------------------------------------------------------------------------------------

fractions = st.floats(0, 1)
SHIPPED = Ladders(stress=(Level(trigger=0.3, release=0.2, exposure_factor=0.5, hold_days=2),))
HOURS = st.integers(0, 72).map(lambda hours: hours * NS_PER_DAY // 24)
readings = st.fixed_dictionaries(
    {
        **dict.fromkeys(METRICS, st.none() | fractions),
        "volatility": st.none() | st.floats(0, 5),
        "var": st.none() | st.floats(0, 0.01),
        "connection": st.none() | st.floats(0, 600),
    }
)


@pytest.mark.req("RSK-08")
@given(st.integers(0, 4), fractions, fractions, st.integers(0, 10**18))
def test_more_drawdown_never_stands_lower_and_the_ground_is_reached_only_below_its_release(
    level: int, one: float, other: float, stood_ns: int
) -> None:
    low, high = sorted((one, other))
    assert ladder.next_level(DRAWDOWN, level, low, stood_ns) <= ladder.next_level(DRAWDOWN, level, high, stood_ns)
    stands = ladder.next_level(DRAWDOWN, level, one, stood_ns)
    assert all(one <= rung.trigger for rung in DRAWDOWN[max(stands, level) :])
    if stands < level:
        assert level < 3
        assert all(one < rung.release for rung in DRAWDOWN[stands:level])
    assert ladder.next_level(DRAWDOWN, stands, one, stood_ns) == stands  # nothing fires twice


@pytest.mark.req("RSK-08")
@given(st.lists(st.tuples(readings, HOURS), max_size=40))
def test_each_level_of_each_ladder_fires_once_per_episode(script: list[tuple[dict[str, float | None], int]]) -> None:
    """An episode of a level ends when its ladder has gone below it, and that takes a value under its release."""
    standing: dict[str, Ladder] = {}
    fired: set[tuple[str, int]] = set()
    ts = 0
    for observed, wait in script:
        ts += wait
        for move in list(ladder.moves(SHIPPED, standing, observed, ts)):
            levels, value = getattr(SHIPPED, move.metric), observed[move.metric]
            assert value is not None
            for number in range(move.previous + 1, move.level + 1):
                assert value > levels[number - 1].trigger or number < move.level
                assert (move.metric, number) not in fired
                fired.add((move.metric, number))
            for number in range(move.level + 1, move.previous + 1):
                assert value < levels[number - 1].release
                assert not levels[number - 1].manual
                assert ts - standing[move.metric].since_ns >= levels[number - 1].hold_days * NS_PER_DAY
                fired.remove((move.metric, number))
            ladder.stand(standing, move, ts)
        assert not list(ladder.moves(SHIPPED, standing, observed, ts))


@pytest.mark.req("RSK-08")
@given(st.dictionaries(st.sampled_from(METRICS), st.integers(1, 4)), st.integers(0, 10**18))
def test_all_ladders_combine_to_the_most_restrictive(levels: dict[str, int], ts: int) -> None:
    standing = {metric: Ladder(level=min(level, len(getattr(SHIPPED, metric)))) for metric, level in levels.items()}
    alone = [ladder.restriction(SHIPPED, {metric: each}, ts) for metric, each in standing.items()]
    assert ladder.restriction(SHIPPED, standing, ts) == Restriction(
        max((each.state for each in alone), key=list(TradingState).index, default=ACTIVE),
        min((each.exposure_factor for each in alone), default=1.0),
        min((each.stop_factor for each in alone), default=1.0),
        max((each.min_confidence for each in alone), default=0.0),
    )


@pytest.mark.req("RSK-08")
@pytest.mark.parametrize("metric", METRICS)
def test_a_higher_level_is_never_milder(metric: str) -> None:
    found = [
        ladder.restriction(SHIPPED, {metric: Ladder(level=level)}, 0)
        for level in range(1, len(getattr(SHIPPED, metric)) + 1)
    ]
    for lower, higher in pairwise(found):
        assert list(TradingState).index(higher.state) >= list(TradingState).index(lower.state)
        assert higher.exposure_factor <= lower.exposure_factor
        assert higher.stop_factor <= lower.stop_factor


@pytest.mark.req("RSK-08")
def test_what_is_unknown_moves_no_ladder(guard: Any, wide: Any) -> None:
    guardian = losing(guard, wide)
    guardian.hour(eur=0.98)
    del guardian.core.state.last_px[EUR_USD]
    assert guardian.hour(yen=110.0) == []
    assert guardian.propose()[-1].trading_state is REDUCING


@pytest.mark.req("RSK-08", "PLT-07")
@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({"var": [{"trigger": 0.1, "release": 0.1}]}, r"Expected a release below the trigger 0.1, got 0.1.*var\[0\]"),
        (
            {"stress": [{"trigger": 0.1, "release": 0.05}] * 2},
            r"Expected stress triggers in rising order, got \[0.1, 0.1\]",
        ),
        ({"drawdown": [{"trigger": 5, "release": 4}]}, "Expected drawdown triggers of at most 1 .fractions., got 5"),
        ({"margin": []}, "unknown field `margin`"),
    ],
)
def test_a_ladder_that_contradicts_itself_is_refused(section: dict[str, Any], complaint: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=complaint):
        msgspec.convert(section, Ladders)
