"""The regime detector: one step per slice, the same bits whatever happens around it, the labels that markets deserve."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages.market_data import Bar, MarketSlice
from common.model.enums import Regime, VolState
from common.model.time import Timeframe
from common.runtime import snapshots
from common.testing.builders import a
from regime.core import RegimeDetector
from regime.kernel import periods, readings, width
from regime.settings import Settings

prices = st.floats(0.5, 2.0)
bars = st.builds(
    lambda instrument_id, timeframe, close, up, down: Bar(
        instrument_id=instrument_id,
        timeframe=timeframe,
        open=close,
        high=close + up,
        low=close - down,
        close=close,
    ),
    instrument_id=st.sampled_from(("EUR-USD.ECB", "USD-JPY.ECB")),
    timeframe=st.sampled_from((Timeframe.M1, Timeframe.H1)),
    close=prices,
    up=st.floats(0.0, 0.1),
    down=st.floats(0.0, 0.1),
)
slices = st.lists(st.lists(bars, max_size=4), max_size=60)


def as_slices(content: list[list[Bar]]) -> list[MarketSlice]:
    return [
        MarketSlice(ts_event=step * Timeframe.M1.ns, book="sim", step=step, bars=tuple(inside))
        for step, inside in enumerate(content, start=1)
    ]


@pytest.mark.req("REG-01")
@given(slices)
def test_every_slice_is_answered_by_one_step_with_one_label_for_every_bar(content: list[list[Bar]]) -> None:
    detector = RegimeDetector(Settings())
    for market in as_slices(content):
        (answered,) = detector.handle(market)
        assert (answered.step, answered.ts_event, answered.book) == (market.step, market.ts_event, market.book)
        assert [(r.instrument_id, r.timeframe) for r in answered.readings] == [
            (bar.instrument_id, bar.timeframe) for bar in market.bars
        ]
        assert all(isinstance(r.candidate, Regime) and 0.0 <= r.confidence <= 1.0 for r in answered.readings)
        assert msgspec.json.decode(msgspec.json.encode(answered), type=type(answered)) == answered


@pytest.mark.req("REG-01")
@given(content=slices, cut=st.integers(0, 60))
def test_a_snapshot_in_a_fresh_detector_goes_on_as_if_nothing_had_happened(content: list[list[Bar]], cut: int) -> None:
    market, steady, first = as_slices(content), RegimeDetector(Settings()), RegimeDetector(Settings())
    expected = [steady.handle(message) for message in market]
    before = [first.handle(message) for message in market[:cut]]
    second = RegimeDetector(Settings())
    snapshots.restore(second, snapshots.encode(first, cut, "mark"), "mark")
    assert before + [second.handle(message) for message in market[cut:]] == expected


@pytest.mark.req("REG-01", "REG-02")
def test_the_values_bar_by_bar_are_the_bits_of_the_compiled_loop_over_arrays(walk: Any, read: Any) -> None:
    history, settings = walk(400), Settings()
    table = np.array([(bar.high, bar.low, bar.close) for bar in history])
    batch = readings(table, periods(settings), settings.bb_deviations, width(settings))
    names = ["adx", "plus_di", "minus_di", "chop", "atr", "atr_percentile", "atr_ratio", "bb_width", "vol_ratio"]
    stream = [[getattr(reading, name) for name in names] for reading in read(history)]
    assert stream == [[value if value == value else None for value in row] for row in batch.tolist()]


@pytest.mark.req("REG-01")
def test_too_few_bars_are_uncertain_with_no_confidence(walk: Any, read: Any) -> None:
    first = read(walk(27))
    assert {(reading.candidate, reading.confidence) for reading in first} == {(Regime.UNCERTAIN, 0.0)}
    assert first[0].adx is None
    assert read(walk(28))[-1].adx is not None


@pytest.mark.req("REG-01")
@pytest.mark.parametrize(("drift", "label"), [(4e-4, Regime.TRENDING_UP), (-4e-4, Regime.TRENDING_DOWN)])
def test_a_steady_drift_is_a_trend_in_its_direction(walk: Any, read: Any, drift: float, label: Regime) -> None:
    labels = Counter(reading.regime for reading in read(walk(1_000, drift=drift))[100:])
    assert labels[label] > 0.95 * labels.total()


@pytest.mark.req("REG-01")
def test_a_flash_crash_is_volatile_on_its_first_bar(walk: Any, read: Any) -> None:
    calm = walk(200)
    crash = msgspec.structs.replace(calm[-1], low=calm[-1].close * 0.98, close=calm[-1].close * 0.985)
    reading = read([*calm, crash])[-1]
    assert (reading.candidate, reading.vol_state) == (Regime.VOLATILE, VolState.STRESS)
    assert reading.atr_ratio is not None
    assert reading.atr_ratio > 2.0


@pytest.mark.req("REG-02")
def test_a_volatility_spike_is_detected_within_five_minutes_and_calm_rarely_looks_like_one(
    walk: Any, read: Any
) -> None:
    delays, alarms, calm_bars = [], 0, 0
    for seed in range(40):
        volatility = np.full(520, 5e-4)
        volatility[500:] *= 2.5
        states = [reading.vol_state for reading in read(walk(520, seed=seed, volatility=volatility))]
        alarms += sum(state is not VolState.NORMAL for state in states[60:500])
        calm_bars += 440
        delays.append(next(i for i, state in enumerate(states[500:], start=1) if state is not VolState.NORMAL))
    print(f"minutes to detection {Counter(delays)}, alarms in calm {alarms / calm_bars:.2%}")
    assert max(delays) <= 5
    assert alarms < 0.02 * calm_bars


@pytest.mark.req("REG-01")
def test_only_the_timeframes_of_the_settings_get_a_reading(walk: Any, read: Any) -> None:
    only_hours = Settings(timeframes=(Timeframe.H1,))
    assert read(walk(3), only_hours) == []
    assert len(read(walk(3, timeframe=Timeframe.H1), only_hours)) == 3


@pytest.mark.req("REG-01")
def test_only_slices_are_answered() -> None:
    from common.messages import InstrumentsDefined

    assert RegimeDetector(Settings()).handle(a(InstrumentsDefined)) == ()
