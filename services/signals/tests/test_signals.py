"""What the framework makes of strategies' opinions: one step per step, changes only, conditions, no look into the future."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from common.errors import ConfigError
from common.messages import InstrumentsDefined
from common.messages.market_data import MarketSlice
from common.messages.regime import RegimeStep
from common.model.enums import Tier, VolState
from common.model.time import Timeframe
from common.runtime import snapshots
from common.testing.builders import a
from signals.api import Context, Ema, Opinion, Sma, by_sign
from signals.core import Signals
from signals.features import Adx, Atr, Chop, Macd, MacdSignal, Std, Wma, advance, compute, table
from signals.loader import load_strategies
from signals.settings import Settings

NORMAL, ELEVATED, STRESS = VolState.NORMAL, VolState.ELEVATED, VolState.STRESS
same_fixtures = hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)


def said(steps: list[Any]) -> str:
    """One letter a bar from the third on: L, S, F for what was said, "." for silence."""
    return "".join(step.signals[0].direction[0] if step.signals else "." for step in steps[2:])


@pytest.mark.req("SIG-01")
@pytest.mark.parametrize("slice_first", [True, False])
def test_a_step_is_answered_once_when_slice_and_regime_are_both_there(walk: Any, slice_first: bool) -> None:
    core, (bar,) = Signals(Settings(), load_strategies(Settings())), walk(1)
    market = MarketSlice(ts_event=5, book="sim", step=7, bars=(bar,))
    regime = RegimeStep(ts_event=5, book="sim", step=7)
    first, second = (market, regime) if slice_first else (regime, market)
    assert core.handle(first) == ()
    (answered,) = core.handle(second)
    assert (answered.step, answered.ts_event, answered.book, answered.signals) == (7, 5, "sim", ())
    assert core.handle(a(InstrumentsDefined)) == ()


@pytest.mark.req("SIG-01")
def test_only_changes_are_said(run: Any, scripted: Any, script: Any) -> None:
    assert said(run(script("LLL.SSF.FL"), strategies=[scripted()])) == "L...S.F..L"


@pytest.mark.req("SIG-01")
def test_a_signal_carries_direction_strength_stop_and_reason(run: Any, scripted: Any, script: Any) -> None:
    (signal,) = run(script("L"), strategies=[scripted()])[-1].signals
    assert (signal.direction, signal.strength, signal.stop_fraction, signal.size_factor) == ("LONG", 0.5, 0.02, 1.0)
    assert (signal.ref_px, signal.reason, signal.tier) == (100.1, "close 100.1", Tier.CORE)


@pytest.mark.req("SIG-03")
def test_higher_volatility_asks_for_more_bars_that_agree_but_never_delays_an_exit(
    run: Any, scripted: Any, script: Any
) -> None:
    assert said(run(script("LSSSLF"), [STRESS] * 8, strategies=[scripted()])) == "...S.F"
    assert said(run(script("LL.SLSSF"), [ELEVATED] * 10, strategies=[scripted()])) == ".L....SF"


@pytest.mark.req("SIG-03", "SIG-04")
def test_size_and_stop_follow_the_volatility_a_strategy_acts_in(run: Any, scripted: Any, script: Any) -> None:
    states = [NORMAL] * 3 + [ELEVATED] * 3 + [STRESS] * 3
    steps = run(script("L........"), states, strategies=[scripted()])
    signals = [signal for step in steps for signal in step.signals]
    assert [(s.vol_state, s.size_factor, s.stop_fraction) for s in signals] == [
        (NORMAL, 1.0, 0.02),
        (ELEVATED, 0.75, 0.015),
        (STRESS, 0.4, 0.03),
    ]


@pytest.mark.req("SIG-03")
def test_one_bar_of_volatility_changes_nothing_and_calm_is_believed_only_after_ten(
    run: Any, scripted: Any, script: Any
) -> None:
    spiky = [NORMAL, NORMAL, NORMAL, STRESS, NORMAL, STRESS, NORMAL, ELEVATED]
    assert said(run(script("L" * 6), spiky, strategies=[scripted()])) == "L....."
    calming = [STRESS] * 6 + [NORMAL] * 12
    steps = run(script("L" * 16), calming, strategies=[scripted()])
    assert [(step.step, s.vol_state) for step in steps for s in step.signals] == [(5, STRESS), (16, NORMAL)]


@pytest.mark.req("SIG-03")
def test_a_strategy_is_flat_where_it_does_not_trade_and_says_why(run: Any, scripted: Any, script: Any) -> None:
    calm_only = scripted(params={NORMAL: {}})
    states = [NORMAL] * 4 + [ELEVATED] * 4
    steps = run(script("LLLLLL"), states, strategies=[calm_only])
    assert said(steps) == "L..F.."
    assert steps[5].signals[0].reason == "does not trade in ELEVATED volatility"


@pytest.mark.req("SIG-04")
def test_a_direction_is_given_up_after_its_longest_time_and_taken_again_only_after_a_change(
    run: Any, scripted: Any, script: Any
) -> None:
    steps = run(script("LLLLLLSLL"), strategies=[scripted(hold_bars=3)])
    assert said(steps) == "L..F..SL."
    assert steps[5].signals[0].reason == "held for 3 bars, the longest time"


@pytest.mark.req("SIG-04")
@pytest.mark.parametrize(("state", "bars"), [(NORMAL, 8), (ELEVATED, 4), (STRESS, 16)])
def test_holding_times_are_shorter_in_elevated_volatility_and_longer_under_stress(
    run: Any, scripted: Any, script: Any, state: VolState, bars: int
) -> None:
    words = said(run(script("L" * 30), [state] * 32, strategies=[scripted(hold_bars=8)]))
    assert words.index("F") - words.index("L") == bars


@pytest.mark.req("SIG-01")
def test_a_strategy_is_not_asked_before_everything_it_needs_is_warm(run: Any, walk: Any, scripted: Any) -> None:
    asked: list[Context] = []

    def decide(ctx: Context) -> Opinion | None:
        asked.append(ctx)
        return by_sign(1.0, full=1.0, reason="up")

    history = walk(60)
    strategy = scripted(decide=decide, features=lambda p: {"a": Sma(10), "b": Ema(20)}, window=30, warmup=40)
    run(history, strategies=[strategy])
    first = asked[0]
    assert len(asked) == 20
    assert first.bar == history[40]
    assert first.prev_close == history[39].close
    assert first.closes.tolist() == [bar.close for bar in history[11:41]]
    assert first.now["a"] == pytest.approx(np.mean([bar.close for bar in history[31:41]]))
    assert asked[1].before == first.now


@pytest.mark.req("SIG-01", "RES-01")
@same_fixtures
@given(seed=st.integers(0, 1_000), cut=st.integers(220, 320), factor=st.floats(0.5, 2.0))
def test_bars_after_a_moment_never_change_what_was_said_up_to_it(
    walk: Any, run: Any, seed: int, cut: int, factor: float
) -> None:
    history = walk(330, seed)
    changed = [
        bar if i < cut else msgspec.structs.replace(bar, close=bar.close * factor, high=bar.high * 3)
        for i, bar in enumerate(history)
    ]
    assert run(history)[:cut] == run(changed)[:cut]


@pytest.mark.req("SIG-01")
@same_fixtures
@given(seed=st.integers(0, 1_000), cut=st.integers(0, 300), half_a_step=st.booleans())
def test_a_snapshot_in_a_fresh_core_goes_on_as_if_nothing_had_happened(
    walk: Any, run: Any, seed: int, cut: int, half_a_step: bool
) -> None:
    history, strategies = walk(300, seed), load_strategies(Settings())
    first, second = Signals(Settings(), strategies), Signals(Settings(), strategies)
    before = run(history[:cut], core=first)
    if half_a_step:
        first.handle(MarketSlice(ts_event=0, book="sim", step=10_000))
    snapshots.restore(second, snapshots.encode(first, cut, "mark"), "mark")
    assert before + run(history[cut:], core=second, first=cut + 1) == run(history)


@pytest.mark.req("SIG-01")
def test_a_state_saved_with_other_strategies_is_refused(walk: Any, run: Any, scripted: Any) -> None:
    core, other = Signals(Settings(), [scripted()]), Signals(Settings(), [scripted(id="other")])
    other.state = core.state
    with pytest.raises(ConfigError, match="other strategies"):
        run(walk(1), core=other)


@pytest.mark.req("SIG-01")
def test_features_bar_by_bar_are_the_bits_of_the_compiled_loop_over_arrays(walk: Any) -> None:
    features = (
        Sma(20), Ema(20), Wma(9), Std(20), Atr(14), Adx(14), Chop(14), Macd(12, 26), MacdSignal(12, 26, 9)
    )  # fmt: skip
    lines, words = table(features), sum(feature.words for feature in features)
    prices = np.array([(bar.high, bar.low, bar.close, 1.0, 300.0 * i) for i, bar in enumerate(walk(300), start=1)])
    state, values, closes = np.zeros((1, words)), np.zeros((1, len(features))), np.zeros((1, 1))
    stream = np.empty((300, 2 * len(features) + 1))
    for i in range(300):
        advance(lines, state, values, closes, np.zeros(1, np.int64), prices[i : i + 1], stream[i : i + 1])
    assert stream[:, : len(features)].tobytes() == compute(lines, prices).tobytes()
    assert stream[1:, len(features) : -1].tobytes() == stream[:-1, : len(features)].tobytes()
    assert np.isfinite(stream[-1]).all()


@pytest.mark.req("SIG-01")
def test_strategies_run_on_their_own_timeframes_only(run: Any, walk: Any, scripted: Any, script: Any) -> None:
    assert said(run(script("LSL"), strategies=[scripted(timeframes=(Timeframe.W1,))])) == "..."
    assert said(run(script("LSL"), strategies=[scripted(timeframes=(Timeframe.D1,))])) == "LSL"
    assert said(run(script("LSL"), strategies=[scripted()], settings=Settings(timeframes=(Timeframe.H1,)))) == "..."


@pytest.mark.req("SIG-02")
def test_every_shipped_strategy_speaks_in_both_directions_on_a_swinging_market(run: Any, walk: Any) -> None:
    directions: dict[str, set[str]] = defaultdict(set)
    for step in run(walk(2_000, seed=3)):
        for signal in step.signals:
            directions[signal.strategy_id].add(signal.direction)
            assert 0.0 <= signal.strength <= 1.0
            assert 0.0 <= signal.confidence <= 1.0
            assert 0.0 < signal.stop_fraction < 1.0
            assert signal.reason
    assert len(directions) == 10
    assert all({"LONG", "SHORT"} <= seen for seen in directions.values())
