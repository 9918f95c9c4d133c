"""The market as a whole: crises of all at once, structures that break, stress in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from common.messages.market_data import Bar, MarketSlice
from common.messages.regime import MarketReading, RegimeStep
from common.model.enums import Regime
from common.model.time import NS_PER_MINUTE, Timeframe
from common.runtime import snapshots
from regime.core import RegimeDetector
from regime.market import crisis_by_slice
from regime.settings import MarketSettings, Settings

NAMES = ("AUD-USD.SIM", "EUR-USD.SIM", "GBP-USD.SIM", "USD-JPY.SIM")
SPIKE = slice(700, 760)


def moves(count: int, seed: int = 1, spike: slice | None = None, factor: float = 4.0) -> np.ndarray:
    """Returns of four instruments, correlated by 0.4; in `spike` they move as one at `factor` times the volatility."""
    rng = np.random.default_rng(seed)
    common, own = rng.standard_normal((count, 1)), rng.standard_normal((count, len(NAMES)))
    out = np.sqrt(0.4) * common + np.sqrt(0.6) * own
    if spike is not None:
        out[spike] = factor * (np.sqrt(0.99) * common[spike] + np.sqrt(0.01) * own[spike])
    return 2e-4 * out * np.array([1.0, 1.0, 1.0, -1.0])


def slices(
    returns: np.ndarray, *, names: Sequence[str] = NAMES, change: Callable[[Bar, int], Bar] = lambda bar, step: bar
) -> list[MarketSlice]:
    close = 100.0 * np.exp(np.cumsum(returns, axis=0))
    before = np.vstack((np.full(close.shape[1], 100.0), close[:-1]))
    found = []
    for step in range(len(close)):
        bars = tuple(
            change(
                Bar(
                    instrument_id=name,
                    timeframe=Timeframe.M1,
                    open=before[step, i],
                    high=max(before[step, i], close[step, i]) * 1.00005,
                    low=min(before[step, i], close[step, i]) * 0.99995,
                    close=close[step, i],
                ),
                step,
            )
            for i, name in enumerate(names)
        )
        found.append(MarketSlice(ts_event=(step + 1) * NS_PER_MINUTE, book="sim", step=step + 1, bars=bars))
    return found


def answers(market: Sequence[MarketSlice], settings: Settings | None = None) -> list[RegimeStep]:
    detector = RegimeDetector(settings or Settings())
    return [detector.handle(slice_)[-1] for slice_ in market]


def market_of(step: RegimeStep) -> MarketReading:
    assert step.market is not None
    return step.market


@pytest.mark.req("REG-03", "REG-04")
def test_a_crisis_is_the_label_of_every_instrument_at_once_and_passes() -> None:
    said = answers(slices(moves(1_200, spike=SPIKE)))
    crisis = [i for i, step in enumerate(said) if step.market and step.market.crisis]
    assert SPIKE.start < crisis[0] < SPIKE.start + 25
    assert SPIKE.stop - 10 < crisis[-1] < SPIKE.stop + 120
    for i in crisis:
        assert {reading.regime for reading in said[i].readings} == {Regime.CRISIS}
        assert all(reading.confidence >= 0.5 for reading in said[i].readings)
    assert not any(reading.candidate is Regime.CRISIS for reading in said[crisis[0] - 1].readings)
    assert not any(reading.regime is Regime.CRISIS for reading in said[crisis[-1] + 30].readings)


@pytest.mark.req("REG-03")
@pytest.mark.parametrize(
    ("spike", "factor", "width"), [(None, 1.0, 4), (SPIKE, 1.0, 4), (SPIKE, 4.0, 2)], ids=["calm", "as one", "two"]
)
def test_neither_correlation_alone_nor_two_instruments_are_a_crisis(
    spike: slice | None, factor: float, width: int
) -> None:
    said = answers(slices(moves(1_200, spike=spike, factor=factor)[:, :width], names=NAMES[:width]))
    assert not any(step.market and step.market.crisis for step in said)


@pytest.mark.req("REG-03")
@pytest.mark.parametrize("left", [2, 1])
def test_a_crisis_does_not_go_on_for_ever_because_most_instruments_have_fallen_silent(left: int) -> None:
    market = slices(moves(2_300, spike=SPIKE))
    silent = [msgspec.structs.replace(one, bars=one.bars[:left]) if one.step > 740 else one for one in market]
    said = answers(silent)
    crisis = [i for i, step in enumerate(said) if step.market and step.market.crisis]
    assert SPIKE.start < crisis[0] < crisis[-1] <= 740 + 24 * 60
    last = market_of(said[-1])
    assert last.mean_correlation is None  # three have to be there
    assert Regime.CRISIS not in {reading.regime for reading in said[-1].readings}


@pytest.mark.req("REG-03", "REG-07")
def test_who_has_fallen_silent_is_no_part_of_the_score_and_who_is_back_is() -> None:
    market = slices(moves(2_400, spike=SPIKE), change=lambda bar, step: msgspec.structs.replace(bar, spread_close=0.01))
    wide = [msgspec.structs.replace(one.bars[3], spread_close=0.05 if one.step > 700 else 0.01) for one in market]
    bars = [(*one.bars[:3], last) for one, last in zip(market, wide, strict=True)]
    gone = [of[:3] if 740 < step <= 2_390 else of for step, of in enumerate(bars, start=1)]
    said = answers([msgspec.structs.replace(one, bars=of) for one, of in zip(market, gone, strict=True)])
    assert market_of(said[745]).spread == pytest.approx(0.25, abs=0.01)  # one of four, as wide as can be
    assert market_of(said[2_380]).spread == pytest.approx(0.0, abs=0.01)
    assert market_of(said[-1]).spread == pytest.approx(0.25, abs=0.05)


@pytest.mark.req("REG-03")
def test_what_moves_first_after_hours_of_standing_still_is_no_correlation() -> None:
    returns = moves(1_600, seed=5)
    returns[1_000:1_500] = 0.0
    said = [market_of(step).mean_correlation for step in answers(slices(returns))[990:1_510]]
    assert all(value is not None and value < 0.6 for value in said)


@pytest.mark.req("REG-03", "RES-01")
@examples(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    missing=st.sampled_from([0.0, 0.02, 0.5]),
    factor=st.sampled_from([1.0, 4.0]),
    late=st.integers(0, 80),
)
def test_over_arrays_a_crisis_is_the_same_bits_slice_by_slice(
    seed: int, missing: float, factor: float, late: int
) -> None:
    returns = moves(260, seed, slice(150, 200), factor)
    settings = Settings(vol_warmup=20, vol_normal=60, market=MarketSettings(warmup=10))
    rng, streamed = np.random.default_rng(seed), []
    there = rng.random(returns.shape) >= missing
    there[:late, seed % 4] = False
    market = [
        msgspec.structs.replace(slice_, bars=tuple(bar for bar, kept in zip(slice_.bars, row, strict=True) if kept))
        for slice_, row in zip(slices(returns), there, strict=True)
    ]
    detector = RegimeDetector(settings)
    for slice_ in market:
        detector.handle(slice_)
        streamed.append(detector.state.market.crisis)
    series = []
    for number, name in enumerate(NAMES):
        bars = [(i, bar) for i, slice_ in enumerate(market) for bar in slice_.bars if bar.instrument_id == name]
        prices = np.array([(bar.high, bar.low, bar.close) for _, bar in bars]).reshape(-1, 3)
        series.append((name, np.array([i for i, _ in bars], np.int64), prices))
        assert there[:, number].sum() == len(bars)
    ts = np.array([slice_.ts_event for slice_ in market])
    batch = crisis_by_slice(ts, series[::-1], settings)
    assert batch is not None
    assert np.array(streamed).tobytes() == batch.tobytes()


@pytest.mark.req("REG-03")
def test_too_few_instruments_for_a_crisis_are_not_looked_at() -> None:
    nothing = (np.zeros(0, np.int64), np.zeros((0, 3)))
    assert crisis_by_slice(np.array([1, 2]), [("A", *nothing), ("B", *nothing)], Settings()) is None


@pytest.mark.req("REG-03")
def test_the_order_in_which_instruments_are_met_changes_nothing() -> None:
    market = slices(moves(400))
    turned = [msgspec.structs.replace(one, bars=one.bars[::-1]) for one in market]
    assert [step.market for step in answers(market)] == [step.market for step in answers(turned)]


@pytest.mark.req("REG-03")
def test_correlations_that_leave_their_history_are_a_breakdown_and_usual_ones_hardly_ever() -> None:
    returns = moves(1_500, seed=3)
    returns[1_300:, 0] *= -1.0  # the first goes against the others from here on
    said = answers(slices(returns))
    broken = [i for i, step in enumerate(said) if step.market and step.market.breakdown]
    assert any(1_300 < i < 1_360 for i in broken)
    assert sum(i < 1_300 for i in broken) < 20  # one in a hundred is the rank that is asked for
    shifts = [step.market.correlation_shift for step in said if step.market]
    assert max(shift for shift in shifts[-200:] if shift is not None) == 1.0


@pytest.mark.req("REG-07")
def test_the_score_is_the_mean_of_the_parts_that_are_known() -> None:
    def traded(bar: Bar, step: int) -> Bar:
        wide = 3.0 if step >= 900 else 1.0
        return msgspec.structs.replace(bar, volume=1_000.0 / wide, spread_close=wide * 0.01)

    returns = moves(960, spike=slice(900, 960))
    returns[900:, :3] -= 6e-4
    returns[900:, 3] -= 6e-4
    said, bare = answers(slices(returns, change=traded)), answers(slices(returns))
    for step in (*said[100:], *bare[100:]):
        market = market_of(step)
        parts = [
            market.volatility,
            market.mean_correlation,
            market.drawdown_speed,
            market.spread,
            market.liquidity,
        ]
        known = [part for part in parts if part is not None]
        assert market.stress_score == pytest.approx(sum(known) / len(known))
        assert all(0.0 <= part <= 1.0 for part in known)
    assert (market_of(bare[-1]).spread, market_of(bare[-1]).liquidity) == (None, None)
    quiet, wild = market_of(said[800]), market_of(said[930])
    assert wild.stress_score is not None
    assert quiet.stress_score is not None
    assert wild.stress_score > 0.7
    assert quiet.stress_score < 0.4
    assert wild.spread is not None
    assert wild.spread > 0.7
    assert wild.drawdown_speed is not None
    assert wild.drawdown_speed > 0.5


@pytest.mark.req("REG-07")
@examples(max_examples=30)
@given(
    closes=st.lists(st.lists(st.floats(0.5, 2.0), min_size=3, max_size=3), max_size=100),
    spread=st.none() | st.floats(0.0, 0.1),
    volume=st.sampled_from([0.0, 1.0, 1e9]),
)
def test_scores_stay_between_zero_and_one_and_survive_the_wire(
    closes: list[list[float]], spread: float | None, volume: float
) -> None:
    returns = np.log(np.array(closes)).reshape(-1, 3)
    market = slices(
        np.diff(returns, axis=0, prepend=0.0),
        names=NAMES[:3],
        change=lambda bar, step: msgspec.structs.replace(bar, spread_close=spread, volume=volume),
    )
    for step in answers(market, Settings(vol_warmup=5, market=MarketSettings(warmup=5, rank_window=20))):
        assert msgspec.json.decode(msgspec.json.encode(step), type=RegimeStep) == step
        if step.market:
            values = msgspec.structs.astuple(step.market)[2:]
            assert all(value is None or 0.0 <= value <= 1.0 for value in values)


@pytest.mark.req("REG-03")
def test_a_snapshot_goes_on_in_the_middle_of_a_crisis() -> None:
    market = slices(moves(900, spike=SPIKE))
    steady, first = answers(market), RegimeDetector(Settings())
    for slice_ in market[:740]:
        first.handle(slice_)
    second = RegimeDetector(Settings())
    snapshots.restore(second, snapshots.encode(first, 740, "mark"), "mark")
    assert [second.handle(slice_)[-1] for slice_ in market[740:]] == steady[740:]


@pytest.mark.req("REG-07")
def test_a_slice_without_base_bars_says_nothing_new_of_the_market() -> None:
    market = slices(moves(100))
    coarse = msgspec.structs.replace(market[0].bars[0], base=False, timeframe=Timeframe.H1)
    detector = RegimeDetector(Settings())
    for slice_ in market:
        detector.handle(slice_)
    (step,) = detector.handle(MarketSlice(ts_event=10**15, book="sim", step=101, bars=(coarse,)))
    assert step.market is None
