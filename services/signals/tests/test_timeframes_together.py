"""Several timeframes at once (SIG-07), zones and sizes by volume (SIG-08), widths by volatility (SIG-06), strategies that are optional."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from common.errors import ConfigError
from common.messages.market_data import Bar, MarketSlice
from common.messages.regime import RegimeStep
from common.messages.signals import SignalsStep
from common.model.enums import Direction, Tier, VolState
from common.model.time import Timeframe
from common.quant.kernel import Floats
from common.quant.thresholds import multiplier
from signals import profile
from signals.api import Context, Opinion, Poc, Sma, Strategy, Vah, Val, VolumeHere, by_sign
from signals.confluence import WEIGHTS, agreement, in_words, signs_of, vote, votes
from signals.core import Signals
from signals.features import compute, table, words_of
from signals.loader import load_strategies
from signals.settings import Settings

M5, M15, H1, H4 = Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.H4
FRAMES = tuple(WEIGHTS)
OPTIONAL = {
    one.id: one for one in load_strategies(Settings(strategies=("breakout_adaptive", "confluence", "confluence_zone")))
}
ballots = st.dictionaries(st.sampled_from(FRAMES), st.sampled_from((-1, 0, 1)))


@pytest.mark.req("SIG-07")
def test_weights_are_forty_thirty_twenty_ten() -> None:
    assert WEIGHTS == {H4: 40, H1: 30, M15: 20, M5: 10}


@pytest.mark.req("SIG-07")
@given(ballots)
def test_four_that_agree_are_believed_fully_three_by_seven_tenths_and_fewer_not_at_all(
    cast: dict[Timeframe, int],
) -> None:
    up, down = (sum(one == sign for one in cast.values()) for sign in (1, -1))
    found = agreement(cast)
    assert found.confidence == {4: 1.0, 3: 0.7}.get(max(up, down), 0.0)
    assert found.sign == (1 if up >= 3 else -1 if down >= 3 else 0)
    if found.sign:
        weighted = sum(WEIGHTS[frame] * one for frame, one in cast.items()) * found.sign
        assert found.strength == pytest.approx(weighted / sum(WEIGHTS[frame] for frame in cast))
        assert found.aligned == max(up, down)
        assert 0.0 < found.strength <= 1.0


@pytest.mark.req("SIG-07")
def test_a_missing_timeframe_agrees_with_nobody_and_two_missing_leave_no_signal() -> None:
    everyone = dict.fromkeys(FRAMES, 1)
    for gone in FRAMES:
        three = {frame: 1 for frame in everyone if frame is not gone}
        assert agreement(three) == (1, 3, 0.7, 1.0)
        for too in three:
            assert agreement({frame: 1 for frame in three if frame is not too}).sign == 0
    assert agreement({}) == (0, 0, 0.0, 0.0)
    assert in_words({H4: 1, M15: 0, M5: -1}) == "4h up, 1h missing, 15m -, 5m down"


@pytest.mark.req("SIG-07")
@given(st.lists(ballots, min_size=1, max_size=30))
def test_signs_over_arrays_are_those_bar_by_bar(cast: list[dict[Timeframe, int]]) -> None:
    columns = {frame: np.array([one.get(frame, 0) for one in cast], np.int8) for frame in FRAMES}
    assert signs_of(columns, len(cast)).tolist() == [agreement(one).sign for one in cast]


numbers = st.floats(-2.0, 2.0) | st.just(0.0) | st.just(float("nan"))


@pytest.mark.req("SIG-07")
@given(st.lists(st.tuples(numbers, numbers, numbers, numbers, numbers), min_size=1, max_size=30))
def test_votes_over_arrays_are_those_bar_by_bar(rows: list[tuple[float, ...]]) -> None:
    names = ("fast", "slow", "momentum", "atr", "usual")
    columns = dict(zip(names, np.array(rows).T, strict=True))
    known = [{name: value for name, value in zip(names, row, strict=True) if value == value} for row in rows]
    assert votes(columns, 2.0).tolist() == [vote(now, 2.0) or 0 for now in known]


@pytest.mark.req("SIG-07")
def test_a_timeframe_votes_only_where_trend_and_momentum_agree_and_volatility_is_not_out_of_hand() -> None:
    up = {"fast": 2.0, "slow": 1.0, "momentum": 0.01, "atr": 1.0, "usual": 1.0}
    assert vote(up, 2.0) == 1
    assert vote({**up, "fast": 0.5, "momentum": -0.01}, 2.0) == -1
    assert vote({**up, "momentum": -0.01}, 2.0) == 0
    assert vote({**up, "atr": 2.1}, 2.0) == 0
    assert vote({name: value for name, value in up.items() if name != "slow"}, 2.0) is None


# --- what a strategy sees of other timeframes ---------------------------------------------------------------------------


def slices(
    closes: Sequence[float], frames: Sequence[Timeframe], instrument_id: str = "EUR-USD.SIM"
) -> list[MarketSlice]:
    """Bars of five minutes and, where they end, the coarser ones; all prices of a bar are the last close."""
    found = []
    for i, close in enumerate(closes, start=1):
        ts = i * M5.ns
        bars = tuple(
            Bar(instrument_id=instrument_id, timeframe=frame, open=close, high=close, low=close, close=close)
            for frame in frames
            if ts % frame.ns == 0
        )
        found.append(MarketSlice(ts_event=ts, book="sim", step=i, bars=bars))
    return found


def said(market: Sequence[MarketSlice], strategies: Sequence[Strategy], settings: Settings) -> list[SignalsStep]:
    core, steps = Signals(settings, strategies), []
    for each in market:
        core.handle(each)
        steps.append(core.handle(RegimeStep(ts_event=each.ts_event, book="sim", step=each.step))[-1])
    return steps


@pytest.fixture
def watching() -> tuple[list[Context], Strategy]:
    seen: list[Context] = []

    def decide(ctx: Context) -> Opinion | None:
        seen.append(ctx)
        return by_sign(1.0, full=1.0, reason="watching")

    strategy = Strategy(
        id="watching",
        tier=Tier.TACTICAL,
        params={VolState.NORMAL: {}},
        features=lambda p: {"close": Sma(1), "mean": Sma(3)},
        decide=decide,
        hold_bars=1_000,
        timeframes=(M5,),
        beside=(H1, M15, Timeframe.D1),
    )
    return seen, strategy


@pytest.mark.req("SIG-07", "RES-01")
def test_a_strategy_sees_the_last_closed_bar_of_another_timeframe_also_one_of_the_same_instant(watching: Any) -> None:
    seen, strategy = watching
    closes = [100.0 + i for i in range(1, 61)]
    said(slices(closes, (M5, M15, H1)), [strategy], Settings(timeframes=(M5,)))
    for ctx in seen:
        now = ctx.bar.close - 100.0  # number of the bar
        assert ctx.beside.get(M15, {}).get("close", 0.0) == (100.0 + now // 3 * 3 if now >= 3 else 0.0)
        assert ctx.beside.get(H1, {}).get("close", 0.0) == (100.0 + now // 12 * 12 if now >= 12 else 0.0)
        assert ("mean" in ctx.beside.get(M15, {})) == (now >= 9)
        assert Timeframe.D1 not in ctx.beside
    assert {ctx.bar.timeframe for ctx in seen} == {M5}
    assert len(seen) == 57


@pytest.mark.req("SIG-07")
def test_looking_at_a_timeframe_makes_no_strategy_run_on_it_and_none_sees_another_instrument(watching: Any) -> None:
    seen, strategy = watching
    other = msgspec.structs.replace(strategy, id="other", timeframes=None, beside=())
    market = slices([100.0] * 60, (M5, M15, H1), "EUR-USD.SIM")
    steps = said(market, [strategy, other], Settings(timeframes=(M5,)))
    assert {signal.timeframe for step in steps for signal in step.signals} == {M5}
    seen.clear()
    pair = [
        msgspec.structs.replace(one, bars=(*one.bars, *two.bars))
        for one, two in zip(market, slices([7.0] * 60, (M5,), "USD-JPY.SIM"), strict=True)
    ]
    said(pair, [strategy], Settings(timeframes=(M5,)))
    assert all(ctx.beside == {} for ctx in seen if ctx.bar.instrument_id == "USD-JPY.SIM")
    assert any(ctx.beside for ctx in seen if ctx.bar.instrument_id == "EUR-USD.SIM")


SHORT = {"fast": 2, "slow": 4, "momentum": 2, "atr": 2, "usual": 4}


def waves(seed: int, count: int) -> list[float]:
    rng = np.random.default_rng(seed)
    drift = 0.003 * np.sign(np.sin(np.arange(count) / 150.0))
    return (100.0 * np.exp(np.cumsum(drift + rng.normal(0.0, 0.001, count)))).tolist()


def brief(strategy: Strategy) -> Strategy:
    (params, *_) = strategy.params.values()
    known = {**params, **{name: value for name, value in {**SHORT, "days": 1}.items() if name in params}}
    return msgspec.structs.replace(strategy, params={VolState.NORMAL: known})


@pytest.mark.req("SIG-07")
def test_the_shipped_strategy_goes_with_four_timeframes_that_agree_and_names_them() -> None:
    steps = said(slices(waves(1, 1_500), FRAMES), [brief(OPTIONAL["confluence"])], Settings(timeframes=(M5,)))
    signals = [signal for step in steps for signal in step.signals]
    taken = [signal for signal in signals if signal.direction is not Direction.FLAT]
    assert {signal.direction for signal in taken} == {Direction.LONG, Direction.SHORT}
    for signal in taken:
        word = "up" if signal.direction is Direction.LONG else "down"
        assert signal.confidence == {3: 0.7, 4: 1.0}[signal.reason.count(word)]
    assert any("15m" in signal.reason and "of 4" in signal.reason for signal in signals)


@pytest.mark.req("SIG-07")
def test_without_the_hour_it_is_never_sure_and_without_hour_and_quarter_it_is_silent() -> None:
    def confidences(frames: Sequence[Timeframe]) -> set[float]:
        thought: list[Opinion] = []
        strategy = brief(OPTIONAL["confluence"])

        def decide(ctx: Context) -> Opinion | None:
            thought.append(strategy.decide(ctx) or Opinion(direction=Direction.FLAT, strength=0.0, reason=""))
            return thought[-1]

        said(
            slices(waves(1, 1_500), frames),
            [msgspec.structs.replace(strategy, decide=decide)],
            Settings(timeframes=(M5,)),
        )
        return {one.confidence for one in thought}

    assert confidences((M5, M15, H1, H4)) == {1.0, 0.7, 0.0}
    assert confidences((M5, M15, H4)) == {0.7, 0.0}
    assert confidences((M5, H4)) == {0.0}


@pytest.mark.req("SIG-06", "SIG-07", "SIG-08", "RES-01")
@pytest.mark.parametrize("name", OPTIONAL)
@examples(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(900, 1_000), factor=st.floats(0.5, 2.0))
def test_bars_after_a_moment_never_change_what_was_said_up_to_it(name: str, seed: int, cut: int, factor: float) -> None:
    closes = waves(seed, 1_000)
    changed = closes[:cut] + [close * factor for close in closes[cut:]]
    strategy, settings = brief(OPTIONAL[name]), Settings(timeframes=(M5,))
    one, other = (said(slices(each, FRAMES), [strategy], settings)[:cut] for each in (closes, changed))
    assert one == other


# --- volume and volatility ---------------------------------------------------------------------------------------------


@pytest.mark.req("SIG-08")
def test_features_of_one_profile_share_one_state_live_and_over_arrays() -> None:
    features = (Sma(2), Vah(1), Poc(1), VolumeHere(1), Val(1), Poc(2))
    lines = table(features)
    assert words_of(lines) == features[0].words + features[2].words + features[5].words
    bars = bars_of(3, 1_200)
    together, alone = compute(lines, bars), [compute(table((one,)), bars) for one in features]
    assert np.isfinite(together[-1]).all()
    assert together.tobytes() == np.column_stack(alone).T.copy().T.tobytes()


def bars_of(seed: int, count: int) -> Floats:
    rng = np.random.default_rng(seed)
    close = np.array(waves(seed, count))
    volume, seconds = rng.integers(1, 9, count).astype(float), 300.0 * np.arange(1, count + 1)
    return np.column_stack((close * 1.001, close * 0.999, close, volume, seconds))


@pytest.mark.req("SIG-08")
@given(st.lists(st.floats(90.0, 110.0), min_size=1, max_size=20), st.floats(0.001, 0.02))
def test_a_zone_reaches_by_its_fraction_from_each_level(prices: list[float], zone: float) -> None:
    now = {"poc": 100.0, "vah": 103.0, "val": 98.0}
    plain = [any(abs(price - level) / level <= zone for level in now.values()) for price in prices]
    assert [profile.level_near(price, now, zone) is not None for price in prices] == plain
    columns = {name: np.full(len(prices), level) for name, level in now.items()}
    assert profile.near_level(np.array(prices), columns, zone).tolist() == plain
    assert profile.level_near(102.6, now, 0.005) == "vah"
    assert profile.level_near(101.0, now, 0.005) is None


@pytest.mark.req("SIG-08")
@given(st.lists(st.floats(0.0, 1.0), min_size=2), st.floats(0.1, 1.0), st.floats(0.1, 1.0))
def test_sizes_fall_with_the_volume_and_never_under_the_least(shares: list[float], full: float, least: float) -> None:
    sizes = [profile.size_at(share, full=full, least=least) for share in sorted(shares)]
    assert sizes == sorted(sizes)
    assert all(least <= size <= 1.0 for size in sizes)
    assert profile.size_at(full, full=full, least=least) == 1.0


@pytest.mark.req("SIG-08")
def test_an_opinion_may_make_a_position_smaller_on_top_of_what_volatility_does(
    run: Any, scripted: Any, script: Any
) -> None:
    def decide(ctx: Context) -> Opinion | None:
        return Opinion(direction=Direction.LONG, strength=1.0, reason="small", size_factor=np.float64(0.5))

    steps = run(script("LLLLL"), [VolState.ELEVATED] * 8, strategies=[scripted(decide=decide)])
    signals = [signal for step in steps for signal in step.signals]
    assert signals[-1].size_factor == 0.75 * 0.5
    assert type(signals[-1].size_factor) is float
    for wrong in (0.0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="size_factor"):
            Opinion(direction=Direction.LONG, strength=1.0, reason="", size_factor=wrong)


@pytest.mark.req("SIG-06")
def test_a_breakout_takes_a_larger_move_in_a_wilder_market_and_says_so() -> None:
    strategy = OPTIONAL["breakout_adaptive"]
    (params, *_) = strategy.params.values()

    def decides(percentile: float, gap: float) -> Opinion | None:
        now = {"middle": 100.0, "atr": 1.0, "percentile": percentile}
        bar = Bar(instrument_id="A.SIM", timeframe=M5, open=1.0, high=1.0, low=1.0, close=100.0 + gap)
        return strategy.decide(
            Context(bar=bar, prev_close=100.5, now=now, before=now, params=params, regime=None, closes=np.empty(0))
        )

    for percentile in (0.0, 0.2, 0.5, 0.9, 1.0):
        edge = 2.0 * multiplier(percentile, 0.5, 2.0)
        inside, outside = decides(percentile, edge * 0.999), decides(percentile, edge * 1.001)
        assert inside is None
        assert outside is not None
        assert outside.direction is Direction.LONG
        assert f"24 h ATR at percentile {percentile * 100:.0f} of 30 days" in outside.reason


@pytest.mark.req("SIG-06")
def test_bounds_that_do_not_hold_one_are_refused() -> None:
    for bounds in ({"least": 1.5}, {"most": 0.9}, {"least": 0.0}):
        with pytest.raises(ConfigError, match="expected 0 < least <= 1 <= most"):
            load_strategies(
                Settings(
                    strategies=("breakout_adaptive",), params={"breakout_adaptive": {VolState.NORMAL: dict(bounds)}}
                )
            )


@pytest.mark.req("SIG-04", "SIG-07", "SIG-08")
@pytest.mark.parametrize(
    ("name", "params", "complaint"),
    [
        ("breakout_adaptive", {"width": 0.0}, "width = 0.0: expected a number above 0"),
        ("breakout_adaptive", {"width": float("nan")}, "width = nan: expected a number above 0"),
        ("envelope_breakout", {"width": -2.0}, "width = -2.0: expected a number above 0"),
        ("confluence", {"wildest": 0.0}, "wildest = 0.0: expected a number above 0"),
        ("confluence_zone", {"wildest": float("nan")}, "wildest = nan: expected a number above 0"),
        ("confluence_zone", {"zone": -0.005}, "zone = -0.005: expected a number above 0"),
        ("confluence_zone", {"full": 0.0}, "full = 0.0: expected a number above 0"),
        ("confluence_zone", {"least": 0.0}, "least = 0.0: expected a number above 0, at most 1"),
        ("confluence_zone", {"least": 1.5}, "least = 1.5: expected a number above 0, at most 1"),
    ],
)
def test_parameters_with_which_a_strategy_would_fail_or_never_trade_are_refused(
    name: str, params: dict[str, float], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=f"signals.params.{name}: {complaint}"):
        load_strategies(Settings(strategies=(name,), params={name: {VolState.NORMAL: params}}))


# --- optional strategies -----------------------------------------------------------------------------------------------


@pytest.mark.req("SIG-01")
def test_an_optional_strategy_runs_only_where_it_is_named(tmp_path: Path) -> None:
    named = load_strategies(Settings(strategies=("confluence", "sma_cross_20_50")))
    assert [one.id for one in named] == ["sma_cross_20_50", "confluence"]
    assert all(one.optional for one in OPTIONAL.values())
    assert not {one.id for one in load_strategies(Settings())} & set(OPTIONAL)
