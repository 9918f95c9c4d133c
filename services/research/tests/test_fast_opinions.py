"""Regime and signals over arrays say what their cores say, bit for bit, whatever the bars, strategies and settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from common.errors import ConfigError
from common.messages import FeatureChanged, MarketSlice, Message, RegimeStep
from common.messages.regime import RegimeReading
from common.messages.signals import Signal
from common.model.enums import Direction, Regime, Tier, VolState
from common.model.time import NS_PER_DAY, NS_PER_MINUTE, Timeframe
from common.quant.kernel import Floats
from common.runtime.settings import load
from regime.core import RegimeDetector
from regime.history import hold
from regime.holding import Holding, observe
from regime.rules import CRISIS, REGIMES, UNCERTAIN
from regime.settings import Settings as RegimeSettings
from research.fast.market import load_market
from research.fast.opinions import Opinions, Series, form_opinions, load_opinions
from signals.api import STANDS, Context, History, Opinion, Sma, Strategy, by_sign
from signals.core import Signals
from signals.features import table
from signals.loader import load_strategies, with_params
from signals.series import Bars
from signals.settings import Condition
from signals.settings import Settings as SignalsSettings

NORMAL, ELEVATED, STRESS = VolState.NORMAL, VolState.ELEVATED, VolState.STRESS
SHIPPED = load_strategies(SignalsSettings())
M1, M5, D1 = Timeframe.M1, Timeframe.M5, Timeframe.D1
# Shorter periods, so that short series warm up.
SHORT: dict[str, float] = {"fast": 4, "slow": 9, "signal": 3, "period": 5}
NIMBLE = tuple(
    with_params(
        one, {state: {name: SHORT[name] for name in known if name in SHORT} for state, known in one.params.items()}
    )
    for one in SHIPPED
)


def walk(rng: np.random.Generator, bars: int) -> Floats:
    """Random bars with calm, wild and dead spells, some of them on a coarse grid, so that averages meet prices exactly."""
    scale = np.repeat(rng.choice([0.0, 1e-4, 1e-3, 5e-3], bars // 15 + 1, p=[0.1, 0.3, 0.3, 0.3]), 15)[:bars]
    ticks = (np.exp(np.cumsum((rng.normal(0, 1, (bars, 5)) * scale[:, None]).ravel())) * 100.0).reshape(bars, 5)
    ticks = np.where(rng.random((bars, 1)) < rng.choice([0.0, 1.0]), ticks.round(1), ticks)
    values = np.empty((7, bars))
    values[:5] = ticks[:, 0], ticks.max(1), ticks.min(1), ticks[:, -1], rng.integers(0, 9, bars)
    values[5:] = rng.choice([np.nan, 0.0, 0.01], (2, bars))
    return values


def market(seed: int, slices: int, timeframes: Sequence[Timeframe], instruments: int = 2) -> tuple[Any, list[Series]]:
    """Closes of slices, uneven, and series in the order of a slice's bars, each with bars in some of them."""
    rng = np.random.default_rng(seed)
    ts = np.cumsum(rng.choice([1, 1, 1, 5, 30], slices)) * NS_PER_MINUTE
    series = []
    for number in range(instruments):
        for timeframe in timeframes:
            step = np.flatnonzero(rng.random(slices) < rng.choice([0.4, 0.95]))
            bars = Bars(f"I{number}-USD.SIM", timeframe, timeframe is timeframes[0], *walk(rng, step.size))
            series.append(Series(step, bars))
    return ts, series


def slices(ts: Any, series: Sequence[Series]) -> list[MarketSlice]:
    found: list[list[Any]] = [[] for _ in ts]
    for one in series:
        for row, step in enumerate(one.step.tolist()):
            found[step].append(one.bars.bar(row))
    return [
        MarketSlice(ts_event=t, book="sim", step=index + 1, bars=tuple(bars))
        for index, (t, bars) in enumerate(zip(ts.tolist(), found, strict=True))
    ]


class Plain:
    """What the cores say, slice by slice: readings, signals and everything else."""

    def __init__(
        self,
        market: Sequence[MarketSlice],
        regime: RegimeSettings,
        signals: SignalsSettings,
        strategies: Sequence[Strategy],
    ) -> None:
        detector, core = RegimeDetector(regime), Signals(signals, strategies)
        self.readings: list[tuple[RegimeReading, ...]] = []
        self.signals: list[tuple[Signal, ...]] = []
        self.changes: list[Message] = []
        for slice_ in market:
            (read,) = detector.handle(slice_)
            assert isinstance(read, RegimeStep)
            core.handle(slice_)
            *changes, said = core.handle(read)
            self.readings.append(read.readings)
            self.signals.append(said.signals)
            self.changes += changes


def agree(fast: Opinions | None, plain: Plain, timeframes: Sequence[Timeframe]) -> None:
    """Bit for bit, which also tells -0.0 from 0.0."""
    assert fast is not None
    count = len(plain.signals)
    encode = msgspec.msgpack.encode
    assert encode([fast.signals(i) for i in range(count)]) == encode(plain.signals)
    assert fast.steps.tolist() == [i for i, signals in enumerate(plain.signals) if signals]
    wanted = [tuple(reading for reading in step if reading.timeframe in timeframes) for step in plain.readings]
    assert encode([fast.readings(i) for i in range(count)]) == encode(wanted)
    assert plain.changes == []


def slow(one: Strategy) -> Strategy:
    """The same strategy without its `directions`."""
    return msgspec.structs.replace(one, directions=None)


def with_closes(ctx: Context) -> Opinion | None:
    """A user's strategy: looks at a window, at the regime and at the day, and often has no new opinion."""
    past = ctx.closes[:-1]
    if ctx.regime and ctx.regime.regime is Regime.VOLATILE:
        return Opinion(direction=Direction.FLAT, strength=0.0, reason="too wild")
    if ctx.bar.close > past.max() or ctx.bar.close < past.min():
        width = float(past.max() - past.min()) / ctx.bar.close
        opinion = by_sign(
            ctx.bar.close - ctx.prev_close, full=1.0, reason=f"{ctx.now['mean']:.3f} {ctx.bar.spread_close}"
        )
        return msgspec.structs.replace(opinion, stop_fraction=width if 0.0 < width < 1.0 else None)
    return None


USERS = Strategy(
    id="users",
    tier=Tier.TACTICAL,
    params={NORMAL: {"n": 3}, STRESS: {"n": 7}},
    features=lambda p: {"mean": Sma(p["n"])},
    decide=with_closes,
    hold_bars=4,
    window=6,
    warmup=9,
    timeframes=(M1, D1),
)

conditions = st.builds(
    Condition,
    size_factor=st.just(0.5),
    confirmations=st.integers(1, 4),
    stop_fraction=st.just(0.02),
    hold_factor=st.sampled_from([0.01, 0.1, 0.5, 1.0, 3.0]),
)
signals_settings = st.builds(
    SignalsSettings,
    timeframes=st.sampled_from([(M1,), (M1, M5), (M5, D1), (M1, M5, D1)]),
    normal=conditions,
    elevated=conditions,
    stress=conditions,
    worse_after=st.integers(1, 3),
    calmer_after=st.integers(1, 6),
)
regime_settings = st.builds(
    RegimeSettings,
    timeframes=st.sampled_from([tuple(Timeframe), (M5,), (M1, D1)]),
    hold_minutes=st.sampled_from([0, 3, 15]),
    adx_period=st.integers(2, 6),
    chop_period=st.integers(2, 6),
    atr_period=st.integers(2, 6),
    atr_window=st.integers(2, 20),
    bb_period=st.integers(2, 8),
    vol_normal=st.integers(10, 60),
    vol_warmup=st.integers(2, 8),
    vol_elevated=st.sampled_from([1.05, 1.5]),
)


@pytest.mark.req("RES-01", "REG-01", "SIG-01")
@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(0, 220),
    regime=regime_settings,
    signals=signals_settings,
    chosen=st.sets(st.integers(0, len(NIMBLE)), min_size=1).map(sorted),
    without=st.booleans(),
)
def test_every_message_is_that_of_the_cores(
    seed: int, count: int, regime: RegimeSettings, signals: SignalsSettings, chosen: list[int], without: bool
) -> None:
    strategies = [(*NIMBLE, USERS)[i] for i in chosen]
    if without:
        strategies = [slow(one) for one in strategies]
    ts, series = market(seed, count, (M1, M5, D1))
    plain = Plain(slices(ts, series), regime, signals, strategies)
    agree(form_opinions(ts, series, regime, signals, strategies), plain, signals.timeframes)
    everything = form_opinions(ts, series, regime, signals, strategies, timeframes=tuple(Timeframe))
    agree(everything, plain, regime.timeframes)


@pytest.mark.req("RES-01", "SIG-02")
def test_long_series_with_the_parameters_that_ship_and_every_strategy_speaks() -> None:
    ts, series = market(5, 2_500, (M1,), instruments=1)
    settings, regime = SignalsSettings(timeframes=(M1,)), RegimeSettings()
    plain = Plain(slices(ts, series), regime, settings, SHIPPED)
    said = [signal for step in plain.signals for signal in step]
    assert {signal.strategy_id for signal in said} == {strategy.id for strategy in SHIPPED}
    assert {signal.vol_state for signal in said} == set(VolState)
    agree(form_opinions(ts, series, regime, settings, SHIPPED), plain, (M1,))


@pytest.mark.req("RES-01", "REG-04")
@given(
    labels=st.lists(st.tuples(st.sampled_from(Regime), st.integers(1, 20)), max_size=60),
    minutes=st.sampled_from([0, 5, 15]),
)
def test_holding_over_arrays_is_holding_bar_by_bar(labels: list[tuple[Regime, int]], minutes: int) -> None:
    ts = np.cumsum([gap for _, gap in labels], dtype=np.int64) * NS_PER_MINUTE
    codes = np.array([REGIMES.index(one) for one, _ in labels], np.int8)
    stable, since = hold(codes, ts, minutes * NS_PER_MINUTE, UNCERTAIN, CRISIS)
    assert set(REGIMES) == set(Regime)
    first = int(ts[0]) if labels else 0
    holding, expected = Holding(since_ns=first, pending_ns=first), []
    for (label, _), t in zip(labels, ts.tolist(), strict=True):
        observe(holding, label, t, minutes * NS_PER_MINUTE)
        expected.append((holding.stable, holding.since_ns))
    assert [(REGIMES[one], t) for one, t in zip(stable, since.tolist(), strict=True)] == expected


def asked(bars: Bars, strategy: Strategy, state: VolState) -> list[tuple[int, int]]:
    """For each bar on which the strategy may be asked: what its `directions` and its `decide` say."""
    params = strategy.params[state]
    named = strategy.features(params)
    values = bars.features(np.arange(bars.close.size) * NS_PER_MINUTE, table(tuple(named.values())))
    before = np.concatenate((np.full((1, values.shape[1]), np.nan), values[:-1]))
    assert strategy.directions is not None
    directions = strategy.directions(
        History(
            **{name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")},
            prev_close=np.concatenate(([np.nan], bars.close[:-1])),
            now=dict(zip(named, values.T, strict=True)),
            before=dict(zip(named, before.T, strict=True)),
            params=params,
        )
    )
    assert (directions.dtype, directions.shape) == (np.int8, bars.close.shape)
    pairs = []
    for i in np.flatnonzero(~np.isnan(values + before).any(axis=1)).tolist():
        opinion = strategy.decide(
            Context(
                bar=bars.bar(i),
                prev_close=float(bars.close[i - 1]),
                now=dict(zip(named, values[i].tolist(), strict=True)),
                before=dict(zip(named, before[i].tolist(), strict=True)),
                params=params,
                regime=None,
                closes=np.empty(0),
            )
        )
        pairs.append((int(directions[i]), STANDS if opinion is None else opinion.direction.sign))
    return pairs


@pytest.mark.req("RES-01", "SIG-02")
@pytest.mark.parametrize("strategy", NIMBLE, ids=lambda one: one.id)
@given(seed=st.integers(0, 10**6))
@examples(max_examples=15, deadline=None)
def test_directions_of_a_shipped_strategy_are_those_of_its_decide(strategy: Strategy, seed: int) -> None:
    bars = Bars("A.SIM", M1, True, *walk(np.random.default_rng(seed), 200))
    for state in strategy.params:
        pairs = asked(bars, strategy, state)
        assert pairs
        assert [one for one, _ in pairs] == [other for _, other in pairs]


@pytest.mark.req("RES-01", "SIG-02")
@pytest.mark.parametrize("strategy", SHIPPED, ids=lambda one: one.id)
def test_and_on_recorded_bars(strategy: Strategy, recorded: Any) -> None:
    said = set()
    for one in recorded.contents.series:
        if one.timeframe is Timeframe.H1:
            bars = Bars("A.SIM", M1, True, *one.bars.values)
            for state in strategy.params:
                pairs = asked(bars, strategy, state)
                said.update(pairs)
    assert all(one == other for one, other in said)
    assert {-1, 1} <= {one for one, _ in said}


@pytest.fixture(scope="module")
def config(shared_data: Path) -> dict[str, Any]:
    """Two pairs by the hour, 2013 to 2016, built up to weeks."""
    made = load("fx")
    made["market_data"]["symbols"] = ["EURUSD", "GBPUSD"]
    made["signals"]["timeframes"] = ["1h", "4h", "1d"]
    made["run"] = {
        "data": str(shared_data / "fx/h1"),
        "start_ns": 43 * 365 * NS_PER_DAY,
        "end_ns": 45 * 365 * NS_PER_DAY,
    }
    return made


@pytest.fixture(scope="module")
def recorded(config: dict[str, Any]) -> Any:
    return load_market(config)


@pytest.mark.req("RES-01", "REG-01", "SIG-01")
def test_recorded_bars_from_a_configuration(config: dict[str, Any], recorded: Any) -> None:
    settings = SignalsSettings(timeframes=(Timeframe.H1, Timeframe.H4, D1))
    plain = Plain([recorded.slice(i) for i in range(len(recorded.ts))], RegimeSettings(), settings, SHIPPED)
    assert sum(map(len, plain.signals)) > 1_000
    agree(load_opinions(config, recorded), plain, settings.timeframes)


@pytest.mark.req("RES-01")
def test_the_latest_readings_are_the_last_of_each_series_so_far() -> None:
    ts, series = market(3, 60, (M1, D1))
    fast = form_opinions(ts, series, RegimeSettings(), SignalsSettings(timeframes=(M1, D1)), SHIPPED)
    assert fast is not None
    so_far: dict[tuple[str, str], RegimeReading] = {}
    for index in range(len(ts)):
        so_far |= {(one.instrument_id, one.timeframe): one for one in fast.readings(index)}
        assert {(one.instrument_id, one.timeframe): one for one in fast.latest(index)} == so_far
    assert len(so_far) == 4


def scripted(
    decide: Callable[[Context], Opinion | None], directions: Callable[[History], Any] | None = None
) -> Strategy:
    return Strategy(
        id="scripted",
        tier=Tier.CORE,
        params={state: {} for state in VolState},
        features=lambda p: {"mean": Sma(3)},
        decide=decide,
        hold_bars=10,
        directions=directions,
    )


def long_(ctx: Context) -> Opinion:
    return by_sign(1.0, full=1.0, reason="up")


def formed(strategy: Strategy) -> Opinions | None:
    ts, series = market(1, 50, (M1,), instruments=1)
    return form_opinions(ts, series, RegimeSettings(), SignalsSettings(timeframes=(M1,)), [strategy])


@pytest.mark.req("RES-01", "PLT-08")
@pytest.mark.parametrize("answer", [lambda ctx: 1 / 0, lambda ctx: "LONG"])
@pytest.mark.parametrize("directions", [None, lambda h: np.ones(h.close.size, np.int8)])
def test_a_strategy_that_fails_is_left_to_the_cores(answer: Any, directions: Any) -> None:
    ts, series = market(1, 50, (M1,), instruments=1)
    plain = Plain(slices(ts, series), RegimeSettings(), SignalsSettings(timeframes=(M1,)), [scripted(answer)])
    assert [type(change) for change in plain.changes] == [FeatureChanged, FeatureChanged]
    assert formed(scripted(answer, directions)) is None


@pytest.mark.req("RES-01", "PLT-08")
def test_a_strategy_that_answers_by_chance_is_left_to_the_cores() -> None:
    turns = iter([1.0, -1.0] * 1_000)
    assert formed(scripted(lambda ctx: by_sign(next(turns), full=1.0, reason="a coin"))) is None


@pytest.mark.req("RES-01")
@pytest.mark.parametrize(
    ("directions", "complaint"),
    [
        (
            lambda h: -np.ones(h.close.size, np.int8),
            r"I0-USD\.SIM 1m: directions say SHORT, decide says LONG; expected the",
        ),
        (lambda h: np.full(h.close.size, STANDS, np.int8), r"directions say nothing \(STANDS\), decide says LONG"),
        (lambda h: np.ones(h.close.size), r"directions: float64\[\d+\]; expected int8\[\d+\] of \+1, -1, 0 and STANDS"),
        (lambda h: np.ones(3, np.int8), r"directions: int8\[3\]; expected int8"),
        (lambda h: np.full(h.close.size, 5, np.int8), r"directions: values from 5 to 5; expected"),
        (lambda h: h.now["absent"], r"test_fast_opinions\.py:\d+: directions: KeyError: 'absent'"),
    ],
)
def test_directions_that_contradict_decide_are_refused(directions: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        formed(scripted(long_, directions))


# --- other timeframes, time of day and volume ---------------------------------------------------------------------------

FOUR = (M5, Timeframe.M15, Timeframe.H1, Timeframe.H4)
BRIEF: dict[str, float] = {
    "fast": 2,
    "slow": 4,
    "momentum": 2,
    "atr": 2,
    "usual": 4,
    "hours": 2,
    "days": 1,
    "period": 5,
}
OPTIONAL = tuple(
    with_params(
        one, {state: {name: BRIEF[name] for name in known if name in BRIEF} for state, known in one.params.items()}
    )
    for one in load_strategies(SignalsSettings(strategies=("breakout_adaptive", "confluence", "confluence_zone")))
)


def tells_all(ctx: Context) -> Opinion | None:
    """Its reason is everything it sees beside its own bars."""
    reason = " ".join(f"{frame}={dict(sorted(now.items()))}" for frame, now in ctx.beside.items())
    return by_sign(ctx.bar.close - ctx.prev_close, full=1e-6, reason=reason)


TELLTALE = Strategy(
    id="telltale",
    tier=Tier.TACTICAL,
    params={state: {"n": number} for number, state in enumerate(VolState, start=2)},
    features=lambda p: {"mean": Sma(p["n"]), "slow": Sma(5 * p["n"])},
    decide=tells_all,
    hold_bars=3,
    timeframes=(M5, Timeframe.H1),
    beside=(Timeframe.H4, D1, Timeframe.M15, M5),
)


@pytest.mark.req("RES-01", "SIG-06", "SIG-07", "SIG-08")
@examples(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(0, 400),
    chosen=st.sets(st.integers(0, len(OPTIONAL)), min_size=1).map(sorted),
    without=st.booleans(),
    run_on=st.sampled_from([(M5,), (M5, Timeframe.H1), FOUR]),
    there=st.sets(st.sampled_from(FOUR[1:])).map(lambda some: (M5, *(one for one in FOUR if one in some))),
)
def test_strategies_that_look_at_other_timeframes_volume_and_the_hour_say_the_same_over_arrays(
    seed: int,
    count: int,
    chosen: list[int],
    without: bool,
    run_on: tuple[Timeframe, ...],
    there: tuple[Timeframe, ...],
) -> None:
    strategies = [(*OPTIONAL, TELLTALE)[i] for i in chosen]
    if without:
        strategies = [slow(one) for one in strategies]
    settings, regime = SignalsSettings(timeframes=run_on), RegimeSettings(timeframes=(M5,), vol_warmup=5)
    ts, series = market(seed, count, there)
    plain = Plain(slices(ts, series), regime, settings, strategies)
    agree(form_opinions(ts, series, regime, settings, strategies), plain, (M5,) if M5 in run_on else ())


@pytest.mark.req("SIG-06", "SIG-07", "SIG-08")
def test_each_of_them_speaks_in_both_directions_and_says_why() -> None:
    ts, series = market(11, 3_000, FOUR)
    settings = SignalsSettings(timeframes=(M5,))
    plain = Plain(slices(ts, series), RegimeSettings(), settings, OPTIONAL)
    said = [signal for step in plain.signals for signal in step]
    assert {(one.strategy_id, one.direction) for one in said} == {
        (one.id, direction) for one in OPTIONAL for direction in Direction
    }
    taken = [one for one in said if one.direction is not Direction.FLAT]
    assert {one.confidence for one in taken if one.strategy_id == "confluence"} == {1.0, 0.7}
    zone = [one for one in taken if one.strategy_id == "confluence_zone"]
    assert {one.size_factor for one in zone if one.vol_state is NORMAL} >= {0.5, 1.0}
    assert all("size x" in one.reason for one in zone)
    agree(form_opinions(ts, series, RegimeSettings(), settings, OPTIONAL), plain, (M5,))
