"""Indicators: the same bits bar by bar and over arrays, the values of independent sources, NaN until warm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.quant import averages, trend, volatility


class Driver(NamedTuple):
    """One indicator in its two forms; `batch` and `step` take the columns of bars named by `inputs`, then `periods`."""

    name: str
    words: int
    inputs: str
    periods: tuple[float, ...]
    step: Callable[..., Any]
    batch: Callable[..., Any]
    warm_at: int  # number of the first bar with a value


DRIVERS = (
    Driver("sma", 2 + 5, "c", (5,), averages.sma_step, averages.sma, 5),
    Driver("ema", 2, "c", (5,), averages.ema_step, averages.ema, 5),
    Driver("wma", 1 + 5, "c", (5,), averages.wma_step, averages.wma, 5),
    Driver("macd", 6, "c", (3, 6, 4), averages.macd_step, averages.macd, 6),
    Driver("atr", 3, "hlc", (4,), volatility.atr_step, volatility.atr, 5),
    Driver("std", 1 + 5, "c", (5,), volatility.std_step, volatility.std, 5),
    Driver("bollinger width", 6, "c", (5, 2.0), volatility.bollinger_width_step, volatility.bollinger_width, 5),
    Driver("percent rank", 1 + 6, "c", (6,), volatility.percent_rank_step, volatility.percent_rank, 6),
    Driver("volatility ratio", 4, "hlc", (3, 9, 5), volatility.vol_ratio_step, volatility.vol_ratio, 6),
    Driver("adx", 8, "hlc", (4,), trend.adx_step, trend.adx, 8),
    Driver("choppiness", 2 + 3 * 4, "hlc", (4,), trend.chop_step, trend.chop, 4),
)
each_driver = pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)

levels = st.floats(0.01, 1e6) | st.sampled_from((1.0, 1.25, 100.0))
bars = arrays(np.float64, st.tuples(st.integers(0, 60), st.just(3)), elements=levels).map(
    lambda raw: np.sort(raw, axis=1)
)


def columns(ordered: np.ndarray, inputs: str) -> list[np.ndarray]:
    by_name = {"l": ordered[:, 0], "c": ordered[:, 1], "h": ordered[:, 2]}
    return [np.ascontiguousarray(by_name[name]) for name in inputs]


def stream(driver: Driver, series: list[np.ndarray], state: np.ndarray) -> np.ndarray:
    return np.array([np.atleast_1d(driver.step(state, *bar, *driver.periods)) for bar in zip(*series, strict=True)])


def batch(driver: Driver, series: list[np.ndarray]) -> np.ndarray:
    values = driver.batch(*series, *driver.periods)
    return np.column_stack(values if isinstance(values, tuple) else (values,))


@pytest.mark.req("REG-01")
@each_driver
@given(ordered=bars, cut=st.integers(0, 60))
def test_bar_by_bar_and_over_arrays_give_the_same_bits_even_after_a_restart(
    driver: Driver, ordered: np.ndarray, cut: int
) -> None:
    series, state = columns(ordered, driver.inputs), np.zeros(driver.words)
    first = stream(driver, [column[:cut] for column in series], state)
    second = stream(driver, [column[cut:] for column in series], state.copy())
    pieces = [piece for piece in (first, second) if piece.size]
    streamed = np.concatenate(pieces) if pieces else np.empty(0)
    assert streamed.tobytes() == batch(driver, series).tobytes()


@pytest.mark.req("REG-01")
@each_driver
def test_a_value_is_nan_until_warm_and_finite_from_then_on(driver: Driver, prices: Any) -> None:
    values = batch(driver, [getattr(prices, {"h": "high", "l": "low", "c": "close"}[name]) for name in driver.inputs])[
        :, 0
    ]
    assert np.isnan(values[: driver.warm_at - 1]).all()
    assert np.isfinite(values[driver.warm_at - 1 :]).all()


@pytest.mark.req("REG-01")
def test_all_that_ta_lib_knows_agrees_with_it_from_the_first_value_on(prices: Any) -> None:
    high, low, close = prices
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    adx, plus_di, minus_di = trend.adx(high, low, close, 14)
    for ours, theirs in (
        (averages.sma(close, 20), talib.SMA(close, 20)),
        (averages.ema(close, 20), talib.EMA(close, 20)),
        (averages.wma(close, 20), talib.WMA(close, 20)),
        (volatility.atr(high, low, close, 14), talib.ATR(high, low, close, 14)),
        (volatility.std(close, 20)[1], talib.STDDEV(close, 20)),
        (volatility.bollinger_width(close, 20, 2.0), (upper - lower) / middle),
        (adx, talib.ADX(high, low, close, 14)),
        (plus_di, talib.PLUS_DI(high, low, close, 14)),
        (minus_di, talib.MINUS_DI(high, low, close, 14)),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.req("REG-01")
def test_macd_agrees_with_ta_lib_once_the_seeds_are_forgotten(prices: Any) -> None:
    line, signal = averages.macd(prices.close, 12, 26, 9)
    their_line, their_signal, _ = talib.MACD(prices.close, 12, 26, 9)
    np.testing.assert_allclose(line[300:], their_line[300:], atol=1e-9)
    np.testing.assert_allclose(signal[300:], their_signal[300:], atol=1e-9)


@pytest.mark.req("REG-01")
@pytest.mark.parametrize(
    ("name", "column", "compute"),
    [
        ("ind.sma14", "Close", lambda close: averages.sma(close, 14)),
        ("ind.ema14", "Close", lambda close: averages.ema(close, 14)),
        ("ind.macd_line_12_26", "Close", lambda close: averages.macd(close, 12, 26, 9)[0]),
        ("ind.macd_12_26_9", "Close", lambda close: np.column_stack(macd_with_histogram(close)).ravel()),
    ],
)
def test_averages_agree_with_published_tables(
    reference: Any, name: str, column: str, compute: Callable[[np.ndarray], np.ndarray]
) -> None:
    case = reference.case(name)
    values = compute(reference.column(case, column))
    np.testing.assert_allclose(
        values[-len(case["expected"]) :], case["expected"], atol=case["tolerance"]["abs"], rtol=0
    )


def macd_with_histogram(close: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    line, signal = averages.macd(close, 12, 26, 9)
    return line, signal, line - signal


@pytest.mark.req("REG-01")
@pytest.mark.parametrize(("name", "index"), [("ind.plus_di14", 1), ("ind.minus_di14", 2)])
def test_directional_indicators_agree_with_published_tables(reference: Any, name: str, index: int) -> None:
    case = reference.case(name)
    high, low, close = (reference.column(case, column) for column in ("High", "Low", "Close"))
    values = trend.adx(high, low, close, 14)[index]
    np.testing.assert_allclose(values[-60:], case["expected"], atol=case["tolerance"]["abs"], rtol=0)


@pytest.mark.req("REG-01")
def test_choppiness_agrees_with_a_published_table(reference: Any) -> None:
    case = reference.case("ind.chop14")
    high, low, close = (reference.column(case, column) for column in ("High", "Low", "Close"))
    values = trend.chop(high, low, close, 14)
    warm = values[~np.isnan(values)]
    got = {"first": warm[0], "last": warm[-1], "n": warm.size, "sum": warm.sum()}
    assert got == pytest.approx(case["expected"], abs=case["tolerance"]["abs"])


@pytest.mark.req("REG-01")
def test_a_simple_average_does_not_drift_after_a_price_a_billion_times_larger() -> None:
    close = np.tile((0.1, 0.2, 0.3, 0.4, 0.5), 200_000)
    close[100] = 1e9
    means = averages.sma(close, 5)
    assert abs(means[-1] - 0.3) < 1e-15


@pytest.mark.req("REG-01")
def test_a_rank_counts_equals_half_and_spans_zero_to_one() -> None:
    values = np.array([3.0, 1.0, 2.0, 4.0, 0.0, 2.0, 2.0, 2.0])
    assert volatility.percent_rank(values, 4)[3:].tolist() == [1.0, 0.0, 0.5, 0.5, pytest.approx(4 / 6)]


@pytest.mark.req("REG-01")
def test_a_market_that_never_moves_has_no_trend_and_no_choppiness() -> None:
    flat = np.full(50, 1.1)
    for values in (*trend.adx(flat, flat, flat, 14), trend.chop(flat, flat, flat, 14)):
        assert np.isnan(values).all()
    assert np.isnan(volatility.vol_ratio(flat, flat, flat, 5, 480, 10)).all()


@pytest.mark.req("REG-02")
@given(st.lists(st.floats(0.0, 3.0), min_size=120, max_size=200), st.floats(2.0, 5.0))
def test_five_bars_of_twice_the_normal_range_always_lift_the_ratio_above_the_threshold(
    spans: list[float], spike: float
) -> None:
    normal = float(np.sqrt(np.mean(np.square(spans))))
    if normal < 1e-3:
        return
    ranges = np.array([*spans, *[spike * normal] * 5]) * 1e-4
    close = np.full(ranges.size, 1.0)
    ratio = volatility.vol_ratio(close + ranges / 2, close - ranges / 2, close, 5, 100_000, 60)
    assert ratio[-1] > 1.5
