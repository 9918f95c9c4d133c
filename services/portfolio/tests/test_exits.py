"""Ways out beside the plain stop (PFL-09): each fires once, none trades more than is held, a restart forgets nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from common.isolation import IsolationSettings
from common.messages import EnableFeature, ExecutionStep, MarketSlice, PortfolioStep, RegimeStep, SignalsStep
from common.messages.market_data import Bar
from common.messages.regime import RegimeReading
from common.model.account import Account
from common.model.enums import Direction, Regime
from common.model.time import Timeframe
from common.runtime import snapshots
from common.testing.builders import EUR_USD, T0, a
from portfolio import exits
from portfolio.core import Portfolio
from portfolio.exits import View, momentum_turned
from portfolio.settings import ExitLevel, ExitSettings

same_fixtures = examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
H1 = Timeframe.H1


def reading(regime: Regime = Regime.RANGING, atr: float | None = 0.01, **changes: Any) -> RegimeReading:
    """An average true range of one cent."""
    return a(RegimeReading, regime=regime, atr=atr, **changes)


@pytest.fixture
def hold(desk: Any, say: Any) -> Callable[..., Any]:
    """A desk that is long 6,000 euros since 1.00, on an hourly opinion whose plain stop is at 0.98 (short: at 1.02)."""

    def build(direction: str = "LONG", *, regime: Regime = Regime.RANGING, **changes: Any) -> Any:
        watched = {"enabled": True, "momentum_bars": 2, "time_limit_hours": 0, **changes.pop("exits", {})}
        trader = desk(**{"rebalance_hours": 8760, "exits": ExitSettings(**watched), **changes})
        trader.step(eur=1.0, readings=[reading(regime)])
        trader.step(say(direction=direction, timeframe=H1), eur=1.0, readings=[reading(regime)])
        return trader

    return build


def path(trader: Any, *closes: float, **bars: Any) -> list[int]:
    """What is held after each hour."""
    held = []
    for close in closes:
        trader.step(eur=close, readings=[reading(bars.get("regime", Regime.RANGING))])
        held.append(int(trader.held()))
    return held


@pytest.mark.req("PFL-09")
@pytest.mark.parametrize(("direction", "sign"), [("LONG", 1), ("SHORT", -1)])
def test_profit_is_taken_in_parts_at_one_and_a_half_three_and_five_atr_and_once_each(
    hold: Any, direction: str, sign: int
) -> None:
    trader = hold(direction)
    closes = [1 + sign * x for x in (0.0149, 0.0151, 0.0149, 0.0151, 0.0301, 0.0151, 0.0301, 0.0501, 0.0301, 0.2)]
    # 6000, then 30 %, 30 % and 20 % of that given up
    expected = [6000, 4200, 4200, 4200, 2400, 2400, 2400, 1200, 1200, 1200]
    assert path(trader, *closes) == [sign * qty for qty in expected]


@pytest.mark.req("PFL-09")
def test_a_jump_over_several_levels_takes_them_all(hold: Any) -> None:
    assert path(hold(), 1.031, 1.02) == [2400, 2400]


@pytest.mark.req("PFL-09")
def test_parts_are_exact_and_trade_however_small_they_are(hold: Any) -> None:
    levels = (ExitLevel(atr=1.0, fraction=0.7), ExitLevel(atr=2.0, fraction=0.2), ExitLevel(atr=3.0, fraction=0.01))
    trader = hold(exits={"levels": levels, "breakeven_atr": 0.0}, trade_band=0.5, min_trade_notional=1000.0)
    assert path(trader, 1.011, 1.021, 1.031) == [1800, 600, 540]


@pytest.mark.req("PFL-09")
def test_a_halted_strategy_still_takes_its_exits(hold: Any) -> None:
    trader = hold()
    assert path(trader, 1.016) == [4200]
    trader.halt("s")
    assert path(trader, 1.016, 1.031, 0.9) == [4200, 2400, 0]


@pytest.mark.req("PFL-09")
def test_the_last_level_may_close_everything_and_the_opinion_is_then_spent(hold: Any, say: Any) -> None:
    trader = hold(exits={"levels": (ExitLevel(atr=1.0, fraction=0.5), ExitLevel(atr=2.0, fraction=0.5))})
    assert path(trader, 1.011, 1.021) == [3000, 0]
    trader.step(say(timeframe=H1, strength=0.9), eur=1.021)
    assert trader.held() == 0
    trader.step(say(direction="SHORT", timeframe=H1), eur=1.021)
    assert trader.held() < 0


@pytest.mark.req("PFL-09")
def test_target_contribution_and_order_say_which_level_it_was(hold: Any) -> None:
    trader = hold()
    step = trader.step(eur=1.016, readings=[reading()])
    assert step.targets[0].reason == "s 1h +4200; s 1h: exit 1 of 3 at 1.5 ATR"
    assert step.targets[0].contributions[0].reason == "MA 20 crossed above MA 50; exit 1 of 3 at 1.5 ATR"
    assert "exit 1 of 3 at 1.5 ATR" in step.orders[0].reason
    step = trader.step(eur=1.021, low={"eur": 1.0})
    assert step.orders == ()  # a stop that was set at this close is not touched by this bar
    step = trader.step(eur=1.01, low={"eur": 1.0})
    assert step.targets[0].reason == "no strategy holds it any more; s 1h: breakeven stop touched"
    assert step.orders[0].reason == "s 1h: breakeven stop touched"
    assert (step.orders[0].signed_qty, step.orders[0].reduce_only) == (-4200, True)


@pytest.mark.req("PFL-09")
@pytest.mark.parametrize(
    ("peak", "low", "out"), [(1.0199, 0.99, False), (1.0201, 1.0001, False), (1.0201, 1.0, True), (1.0201, 0.99, True)]
)
def test_after_two_atr_the_stop_is_at_the_entry(hold: Any, peak: float, low: float, out: bool) -> None:
    trader = hold(exits={"levels": ()})
    trader.step(eur=peak)
    trader.step(eur=max(low, 1.001), low={"eur": low})
    assert (trader.held() == 0) is out


@pytest.mark.req("PFL-09")
def test_when_momentum_turns_the_stop_follows_at_half_an_atr_once(hold: Any) -> None:
    trader = hold(exits={"levels": (), "breakeven_atr": 0.0})
    assert path(trader, 1.003, 1.006, 1.004, 1.0) == [6000] * 4  # turned at the last: the stop is at 0.995
    trader.step(eur=1.02, low={"eur": 0.9951})
    assert path(trader, 1.05, 1.05, 1.04) == [6000] * 3  # turned again, and did not follow again
    trader.step(eur=1.04, low={"eur": 0.9951})
    assert trader.held() == 6000
    trader.step(eur=1.0, low={"eur": 0.995})
    assert trader.held() == 0


@pytest.mark.req("PFL-09")
def test_a_stop_never_goes_back(hold: Any) -> None:
    trader = hold(exits={"levels": ()})
    assert path(trader, 1.0201, 1.02, 1.004) == [6000] * 3  # at the entry; turned momentum would put it at 0.999
    trader.step(eur=1.004, low={"eur": 1.0})
    assert trader.held() == 0


@pytest.mark.req("PFL-09")
@pytest.mark.parametrize(
    ("closes", "sign", "turned"),
    [
        ((1.0, 1.1, 1.2, 0.9), 1, True),
        ((1.0, 1.1, 1.2, 0.9), -1, False),
        ((1.2, 1.1, 1.0, 1.3), -1, True),
        ((1.2, 1.1, 1.0, 0.9), 1, False),  # was against it before
        ((1.0, 1.1, 1.0, 1.0), 1, True),  # unchanged is not against it
        ((1.1, 1.2, 0.9), 1, False),  # too few
    ],
)
def test_momentum_turns_when_the_close_falls_behind_an_older_one_and_the_close_before_did_not(
    closes: tuple[float, ...], sign: int, turned: bool
) -> None:
    assert momentum_turned(closes, sign, 2) is turned


@pytest.mark.req("PFL-09")
def test_a_position_is_left_after_twenty_four_hours(hold: Any, say: Any) -> None:
    trader = hold(exits={"time_limit_hours": 24})
    trader.step(hours=23, eur=1.0)
    trader.step(say(timeframe=H1, strength=0.1), hours=0, eur=1.0)  # new parameters are no new entry
    assert trader.held() == 6000
    assert trader.step(eur=1.0).orders[0].reason == "s 1h: time limit of 24 h"
    assert trader.held() == 0


@pytest.mark.req("PFL-09")
@pytest.mark.parametrize(
    ("direction", "entry", "now", "out"),
    [
        ("LONG", Regime.TRENDING_UP, Regime.TRENDING_DOWN, True),
        ("LONG", Regime.RANGING, Regime.TRENDING_DOWN, True),
        ("LONG", Regime.TRENDING_UP, Regime.CRISIS, True),
        ("LONG", Regime.TRENDING_UP, Regime.RANGING, False),
        ("LONG", Regime.RANGING, Regime.TRENDING_UP, False),
        ("LONG", Regime.CRISIS, Regime.CRISIS, False),
        ("LONG", Regime.TRENDING_DOWN, Regime.TRENDING_DOWN, False),
        ("SHORT", Regime.TRENDING_DOWN, Regime.TRENDING_UP, True),
        ("SHORT", Regime.RANGING, Regime.CRISIS, True),
        ("SHORT", Regime.TRENDING_DOWN, Regime.VOLATILE, False),
        ("SHORT", Regime.RANGING, Regime.TRENDING_DOWN, False),
    ],
)
def test_a_regime_that_turns_against_the_position_ends_it(
    hold: Any, direction: str, entry: Regime, now: Regime, out: bool
) -> None:
    trader = hold(direction, regime=entry)
    assert (path(trader, 1.0, regime=now) == [0]) is out


@pytest.mark.req("PFL-09")
def test_readings_of_another_timeframe_mean_nothing(hold: Any) -> None:
    trader = hold()
    trader.step(eur=1.0, readings=[reading(Regime.CRISIS, timeframe=Timeframe.M15)])
    assert trader.held() == 6000


@pytest.mark.req("PFL-09")
def test_readings_of_a_later_step_wait_for_theirs(hold: Any) -> None:
    core = hold().core
    cash = {"USD": Decimal(100_000)}
    bar = a(Bar, open=1.0, high=1.0, low=1.0, close=1.0)
    moments: list[dict[str, Any]] = [{"ts_event": T0 + n * H1.ns, "book": "fx", "step": n} for n in (3, 4)]
    for moment, regime in zip(moments, (Regime.RANGING, Regime.CRISIS), strict=True):
        core.handle(MarketSlice(**moment, bars=(bar,)))
        core.handle(RegimeStep(**moment, readings=(reading(regime),)))
        core.handle(ExecutionStep(**moment, cash=cash))
    found = [core.handle(SignalsStep(**moment))[-1].total_risk for moment in moments]
    assert found == [120, 0]


@pytest.mark.req("PFL-09")
def test_without_an_atr_only_time_and_regime_end_a_position_and_it_counts_from_when_it_is_known(
    desk: Any, say: Any
) -> None:
    trader = desk(exits=ExitSettings(enabled=True, time_limit_hours=0, breakeven_atr=0.0, tighten_atr=0.0))
    trader.step(say(timeframe=H1), eur=1.0)
    trader.step(eur=1.1, readings=[reading(atr=None)])
    assert trader.held() == 6000
    trader.step(eur=1.1, readings=[reading(atr=0.05)])
    assert trader.held() == 4200


@pytest.mark.req("PFL-09", "PFL-02")
def test_what_was_given_up_does_not_come_back_with_new_parameters_or_at_a_rebalance(hold: Any, say: Any) -> None:
    trader = hold(drift_band=0.0, exits={"breakeven_atr": 0.0})
    assert path(trader, 1.031) == [2400]
    trader.step(say(timeframe=H1, size_factor=0.5), eur=1.0)
    halved = trader.held()
    assert halved == pytest.approx(1200, rel=0.02)  # 40 % of half the size
    trader.step(say(timeframe=H1), eur=1.0)
    assert trader.held() == pytest.approx(2400, rel=0.02)

    trader = hold(rebalance_hours=2, drift_band=0.0)
    assert path(trader, 1.031, 1.0201, 1.0201) == [pytest.approx(2400, rel=0.03)] * 3


@pytest.mark.req("PFL-09")
def test_exits_are_off_unless_switched_on(desk: Any, say: Any) -> None:
    trader = desk()
    trader.step(say(timeframe=H1), eur=1.0, readings=[reading()])
    assert path(trader, 1.06, 1.0, regime=Regime.CRISIS) == [6000, 6000]
    assert trader.core.state.regimes == []


@pytest.mark.req("PFL-09")
@pytest.mark.parametrize(
    ("levels", "complaint"),
    [
        ((ExitLevel(atr=3, fraction=0.1), ExitLevel(atr=1, fraction=0.1)), r"rising order of atr, got \[3, 1\]"),
        ((ExitLevel(atr=1, fraction=0.6), ExitLevel(atr=2, fraction=0.6)), r"add up to at most 1, got 1\.2"),
    ],
)
def test_levels_that_make_no_sense_are_refused(levels: tuple[ExitLevel, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ExitSettings(levels=levels)


# --- isolation -----------------------------------------------------------------------------------------


def fails(*_: Any) -> None:
    raise ArithmeticError("exits")


@pytest.mark.req("PFL-09", "PLT-08")
def test_when_the_exits_fail_the_plain_stops_still_work_and_the_book_trades_on(hold: Any, say: Any) -> None:
    trader = hold(review=fails)
    assert path(trader, 1.06, 1.06, 1.06, 1.06) == [6000] * 4
    assert [(c.service, c.feature, c.enabled) for c in trader.changes] == [
        ("portfolio", "exits", True),
        ("portfolio", "exits", False),
    ]
    trader.step(say("gbp"), gbp=1.0)
    assert trader.held("gbp") > 0
    trader.step(eur=1.0, low={"eur": 0.98})
    assert trader.held() == 0


@pytest.mark.req("PFL-09", "PLT-08")
def test_exits_that_were_switched_off_are_tried_again_when_an_operator_says_so(hold: Any) -> None:
    broken = [True]

    def sometimes(*args: Any) -> Any:
        return fails() if broken else exits.review(*args)

    trader = hold(review=sometimes, isolation=IsolationSettings(cool_down_hours=0))
    path(trader, 1.016, 1.016, 1.016)
    broken.clear()
    assert path(trader, 1.016) == [6000]
    (change,) = trader.core.handle(a(EnableFeature, service="portfolio", feature="exits", reason="mended"))
    assert (change.enabled, change.ts_event) == (True, trader.ts)
    assert path(trader, 1.016) == [4200]


# --- laws ----------------------------------------------------------------------------------------------

closes = st.integers(-60, 60).map(lambda mills: 1 + mills / 1000)
scenes = st.fixed_dictionaries(
    {
        "close": closes,
        "reach": st.integers(0, 20).map(lambda mills: mills / 1000),
        "hours": st.integers(1, 9),
        "direction": st.none() | st.sampled_from(Direction),
        "regime": st.none() | st.sampled_from(Regime),
        "size_factor": st.sampled_from([0.4, 1.0]),
    }
)
CALM: tuple[int, ...] = (
    -3,
    -2,
    -1,
    1,
    2,
    4,
    6,
)  # mills a step, an ATR being eight: holdings live through several exits


@st.composite
def lives(draw: Any) -> list[Any]:
    """One opinion at the start, then small steps of the market and few readings."""
    close, script = 1000, []
    direction = draw(st.sampled_from([Direction.LONG, Direction.SHORT]))
    for number in range(draw(st.integers(8, 22))):
        close += draw(st.sampled_from(CALM)) * direction.sign
        script.append(
            {
                "close": close / 1000,
                "reach": 0.0005,
                "hours": 1,
                "direction": direction if number == 0 else None,
                "regime": Regime.RANGING if number == 0 else None,
                "size_factor": 1.0,
            }
        )
    return script


SETTINGS: dict[str, Any] = {
    "exits": ExitSettings(enabled=True, momentum_bars=2),
    "rebalance_hours": 5,
    "trade_band": 0.3,
    "max_total_risk": 0.003,
}


def play(trader: Any, say: Any, script: list[Any]) -> list[PortfolioStep]:
    answers = []
    for scene in script:
        opinion = scene["direction"] and say(
            direction=str(scene["direction"]), timeframe=H1, ref_px=scene["close"], size_factor=scene["size_factor"]
        )
        answers.append(
            trader.step(
                *([opinion] if opinion else []),
                hours=scene["hours"],
                eur=scene["close"],
                low={"eur": scene["close"] - scene["reach"]},
                high={"eur": scene["close"] + scene["reach"]},
                readings=[reading(scene["regime"], atr=0.008)] if scene["regime"] else [],
            )
        )
    return answers


@pytest.mark.req("PFL-09")
@same_fixtures
@given(script=st.lists(scenes, max_size=25) | lives())
def test_every_exit_fires_once_per_holding_and_never_trades_more_than_is_held(
    desk: Any, say: Any, script: list[Any]
) -> None:
    trader = desk(**SETTINGS)
    fired: list[str] = []
    direction = None
    for scene in script:
        before, was = trader.held(), trader.core.state.holdings.get(f"s|{EUR_USD}|1h")
        contribution, levels = (was.contribution, was.exits and was.exits.levels) if was else (None, None)
        (answer,) = play(trader, say, [scene])
        said = [why for target in answer.targets for why in target.reason.split("; ") if why.startswith("s 1h: ")]
        fired.extend(part for why in said for part in why.removeprefix("s 1h: ").split(", "))
        assert len(fired) == len(set(fired))
        if said and scene["direction"] is None:
            after = trader.held()
            assert before * after >= 0
            assert abs(after) <= abs(before)
        now = trader.core.state.holdings.get(f"s|{EUR_USD}|1h")
        if scene["direction"] is not None and scene["direction"] is not direction:
            fired, direction = [], scene["direction"]
        elif now and now.exits and levels is not None:
            assert now.exits.levels >= levels
            if now.exits.levels > levels and contribution and now.contribution and scene["direction"] is None:
                assert abs(now.contribution.signed_qty) < abs(contribution.signed_qty)


@pytest.mark.req("PFL-09", "PFL-07")
@same_fixtures
@given(script=st.lists(scenes, max_size=20))
def test_exits_never_raise_total_risk_above_the_maximum(desk: Any, say: Any, script: list[Any]) -> None:
    for answer in play(desk(**SETTINGS), say, script):
        assert answer.equity is None or answer.total_risk <= answer.equity * Decimal("0.003")


@pytest.mark.req("PFL-09")
@same_fixtures
@given(script=st.lists(scenes, max_size=20), cut=st.integers(0, 20))
def test_a_restart_at_any_point_forgets_no_exit(desk: Any, say: Any, script: list[Any], cut: int) -> None:
    whole, broken = desk(**SETTINGS), desk(**SETTINGS)
    expected = play(whole, say, script)
    answers = play(broken, say, script[:cut])
    saved, broken.core = broken.core, desk(**SETTINGS).core
    snapshots.restore(broken.core, snapshots.encode(saved, 1, "mark"), "mark")
    assert answers + play(broken, say, script[cut:]) == expected
    assert broken.core.state == whole.core.state


@pytest.mark.req("PFL-09")
@same_fixtures
@given(script=st.lists(scenes, max_size=20))
def test_a_replay_of_what_it_heard_comes_to_the_same_exits(desk: Any, say: Any, script: list[Any]) -> None:
    trader = desk(**SETTINGS)
    play(trader, say, script)
    fresh = Portfolio(trader.settings, Account())
    assert [fresh.handle(message) for message, _ in trader.tape] == [answers for _, answers in trader.tape]
    assert fresh.state == trader.core.state


# How far a bar closes in favor, and how far it reaches beyond that, in ATR: around every level and stop.
favors = st.sampled_from(
    [-0.501, -0.5, -0.4, 0.0, 0.4, 1.0, 1.4999, 1.5, 1.5001, 1.9999, 2.0, 2.0001, 3.0001, 5.0, 5.1]
)
reaches = st.sampled_from([0.0, 0.0999, 0.1, 0.5, 1.5001, 2.0])


@pytest.mark.req("PFL-09")
@given(
    direction=st.sampled_from([Direction.LONG, Direction.SHORT]),
    atr=st.sampled_from([0.001, 0.01, 0.0137]),
    walk=st.lists(st.tuples(favors, reaches, st.booleans()), max_size=8),
)
def test_a_bar_that_is_called_quiet_would_have_changed_nothing(
    direction: Direction, atr: float, walk: list[tuple[float, float, bool]]
) -> None:
    settings, known = ExitSettings(enabled=True, momentum_bars=2), reading(atr=atr)
    progress, seen = exits.entered(direction, 1.0, 0, known, settings), list[float]()
    for number, (favor, reach, closed) in enumerate(walk, start=1):
        ts, close = number * 7 * H1.ns, 1.0 + direction.sign * favor * atr
        bar = a(Bar, open=close, close=close, low=close - reach * atr, high=close + reach * atr)
        seen.append(close)
        verdict = exits.review(progress, direction, View(ts, bar, known, ()), settings)
        if exits.is_quiet(progress, bar, ts):
            assert verdict is None
        if closed:
            verdict = exits.review(progress, direction, View(ts, bar, known, seen), settings)
        if verdict and verdict.out:
            return
        progress = verdict.progress if verdict else progress
