"""Adaptive thresholds: ranked by market hours, monotone and bounded, the same bits bar by bar, hour by hour and over arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import percentileofscore

from common.quant import adaptive, momentum
from common.quant.thresholds import Hour, changes, multiplier, rank

percentiles = st.floats(0.0, 1.0)
leasts, mosts = st.floats(0.01, 1.0), st.floats(1.0, 20.0)


def bars(seed: int, count: int) -> dict[str, np.ndarray]:
    """Bars of five minutes with holes, so that hours have any number of them and some have none."""
    rng = np.random.default_rng(seed)
    minutes = 5 * np.cumsum(rng.choice([1, 1, 1, 2, 7, 30], count))
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.001, count)))
    span = rng.uniform(0.0, 0.002, (2, count)) * np.repeat(rng.choice([0.1, 1.0, 3.0], count // 10 + 1), 10)[:count]
    return {"high": close * (1 + span[0]), "low": close * (1 - span[1]), "close": close, "seconds": minutes * 60.0}


def stream(of: dict[str, np.ndarray], hours: int, days: int, state: np.ndarray) -> np.ndarray:
    columns = zip(of["high"], of["low"], of["close"], of["seconds"], strict=True)
    return np.array([adaptive.atr_percentile_step(state, *bar, hours, days) for bar in columns])


def by_hand(of: dict[str, np.ndarray]) -> list[Hour]:
    """The hours that are over, from the definition."""
    close, found = of["close"], dict[int, list[float]]()
    for i in range(1, close.size):
        spans = (of["high"][i] - of["low"][i], of["high"][i] - close[i - 1], close[i - 1] - of["low"][i])
        end = int(-(-of["seconds"][i] // 3600) * 3600)
        found.setdefault(end, []).append(max(spans) / close[i - 1])
    return [
        Hour(end * 10**9, sum(spans), len(spans)) for end, spans in sorted(found.items()) if end <= of["seconds"][-1]
    ]


@pytest.mark.req("SIG-06")
@given(st.lists(percentiles, min_size=2), leasts, mosts)
def test_a_multiplier_never_falls_as_volatility_rises_and_never_leaves_its_bounds(
    ranks: list[float], least: float, most: float
) -> None:
    values = [multiplier(one, least, most) for one in sorted(ranks)]
    assert values == sorted(values)
    assert all(least <= value <= most for value in values)


@pytest.mark.req("SIG-06")
@given(leasts, mosts)
def test_the_calmest_market_the_usual_one_and_the_wildest_get_least_one_and_most(least: float, most: float) -> None:
    assert multiplier(0.0, least, most) == least
    assert multiplier(0.5, least, most) == pytest.approx(1.0)
    assert multiplier(1.0, least, most) == pytest.approx(most)
    assert np.isnan(multiplier(float("nan"), least, most))


@pytest.mark.req("SIG-06")
@given(st.lists(percentiles | st.just(float("nan"))), leasts, mosts)
def test_compiled_multipliers_are_the_plain_ones(ranks: list[float], least: float, most: float) -> None:
    plain = np.array([multiplier(one, least, most) for one in ranks])
    assert adaptive.multipliers(np.array(ranks), least, most).tobytes() == plain.tobytes()


@pytest.mark.req("SIG-06")
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 400), cut=st.integers(0, 400))
def test_a_rank_bar_by_bar_is_that_over_arrays_even_after_a_restart(seed: int, count: int, cut: int) -> None:
    of, state = bars(seed, count), np.zeros(adaptive.atr_percentile_words(4, 1))
    first = stream({name: values[:cut] for name, values in of.items()}, 4, 1, state)
    second = stream({name: values[cut:] for name, values in of.items()}, 4, 1, state.copy())
    whole = adaptive.atr_percentile(of["high"], of["low"], of["close"], of["seconds"], 4, 1)
    assert np.concatenate((first, second)).tobytes() == whole.tobytes()


@pytest.mark.req("SIG-06", "RES-01")
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(0, 400), factor=st.floats(0.5, 2.0))
def test_later_bars_never_change_a_rank(seed: int, cut: int, factor: float) -> None:
    of = bars(seed, 400)
    changed = {name: np.where(np.arange(400) < cut, values, values * factor) for name, values in of.items()}
    changed["seconds"] = of["seconds"]
    one, other = (
        adaptive.atr_percentile(each["high"], each["low"], each["close"], each["seconds"], 4, 1)
        for each in (of, changed)
    )
    assert one[:cut].tobytes() == other[:cut].tobytes()


@pytest.mark.req("SIG-06")
@pytest.mark.parametrize("seed", range(4))
def test_a_rank_is_that_of_the_definition_and_changes_only_with_the_hour(seed: int) -> None:
    of = bars(seed, 900)
    values = adaptive.atr_percentile(of["high"], of["low"], of["close"], of["seconds"], 4, 1)
    hours = by_hand(of)
    atrs = [
        sum(hour.travelled for hour in hours[i - 3 : i + 1]) / sum(hour.bars for hour in hours[i - 3 : i + 1])
        for i in range(3, len(hours))
    ]
    expected = {
        hours[i + 3].end_ns: (percentileofscore(atrs[i - 23 : i + 1], atrs[i], kind="mean") / 100.0 * 24 - 0.5) / 23
        for i in range(23, len(atrs))
    }
    ends = np.array(list(expected))
    checked = 0
    for seconds, value in zip(of["seconds"].tolist(), values.tolist(), strict=True):
        over = ends[ends <= seconds * 10**9]
        if over.size:
            assert value == pytest.approx(expected[int(over[-1])], abs=1e-9)
            checked += 1
        else:
            assert np.isnan(value)
    assert checked > 300


@pytest.mark.req("SIG-06")
def test_hours_are_counted_when_there_are_bars_so_a_weekend_leaves_the_rank_alone() -> None:
    of, numbers = bars(3, 600), np.arange(600)
    hours = np.ceil(of["seconds"] / 3600.0)
    monday = 1 + int(np.flatnonzero(np.diff(hours[300:]) > 0)[0]) + 300
    later = dict(of, seconds=np.where(numbers < monday, of["seconds"], of["seconds"] + 48 * 3600.0))
    one, other = (
        adaptive.atr_percentile(each["high"], each["low"], each["close"], each["seconds"], 4, 1) for each in (of, later)
    )
    assert np.isfinite(one[monday:]).all()
    assert one.tobytes() == other.tobytes()


@pytest.mark.req("SIG-06")
@pytest.mark.parametrize("seed", range(4))
def test_the_history_of_changes_is_what_strategies_saw_with_a_reason_and_never_longer_than_asked(seed: int) -> None:
    of = bars(seed, 900)
    ranks = adaptive.atr_percentile(of["high"], of["low"], of["close"], of["seconds"], 4, 1)
    hours = by_hand(of)
    history = changes(hours, least=0.5, most=2.0, last=10_000, of_hours=4, of_days=1)
    assert len(history) > 20
    for seconds, percentile in zip(of["seconds"].tolist(), ranks.tolist(), strict=True):
        so_far = [change.multiplier for change in history if change.ts <= seconds * 10**9]
        assert so_far or np.isnan(percentile)
        assert not so_far or so_far[-1] == pytest.approx(multiplier(percentile, 0.5, 2.0), abs=1e-9)
    for change in history:
        assert change.multiplier == multiplier(change.percentile, 0.5, 2.0) != change.before
        assert change.reason.startswith(f"4 h ATR at percentile {100 * change.percentile:.0f} of 1 days: thresholds x ")
    assert [change.before for change in history[1:]] == [change.multiplier for change in history[:-1]]
    assert changes(hours, least=0.5, most=2.0, last=7, of_hours=4, of_days=1) == history[-7:]
    assert changes(hours[:26], least=0.5, most=2.0, last=7, of_hours=4, of_days=1) == ()


@pytest.mark.req("SIG-06")
def test_a_rank_counts_ties_half() -> None:
    assert [rank(values, values[-1]) for values in ([1.0, 2.0], [2.0, 1.0], [1.0, 1.0], [1.0, 1.0, 2.0, 1.0])] == [
        1.0,
        0.0,
        0.5,
        pytest.approx(1 / 3),
    ]


@pytest.mark.req("SIG-07")
@pytest.mark.parametrize(
    ("step", "batch", "words"),
    [(momentum.rsi_step, momentum.rsi, momentum.RSI_STATE), (momentum.roc_step, momentum.roc, momentum.ROC_STATE + 5)],
)
@given(closes=st.lists(st.floats(0.01, 1e6) | st.just(1.0), max_size=60), cut=st.integers(0, 60))
def test_momentum_bar_by_bar_is_that_over_arrays(
    step: object, batch: object, words: int, closes: list[float], cut: int
) -> None:
    state = np.zeros(words)
    first = [step(state, close, 5) for close in closes[:cut]]  # type: ignore[operator]
    later = state.copy()
    second = [step(later, close, 5) for close in closes[cut:]]  # type: ignore[operator]
    assert np.array(first + second).tobytes() == batch(np.array(closes), 5).tobytes()  # type: ignore[operator]
