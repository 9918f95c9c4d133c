"""Every indicator that TA-Lib also has, against it: from the first value on where the definitions are the same, and where they are
not, that the difference is the one that docs/indicators.md names.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from common.quant import averages, momentum, trend, volatility

DOCS = Path(__file__).parents[4] / "docs" / "indicators.md"


class Market(NamedTuple):
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray


class Twin(NamedTuple):
    """Ours and TA-Lib's for (market, period)."""

    name: str
    ours: Callable[[Market, int], Any]
    theirs: Callable[[Market, int], Any]
    least: int = 2  # shortest period that both take


def _bands(m: Market, n: int) -> Any:
    upper, middle, lower = talib.BBANDS(m.close, n, 2.0, 2.0)
    return (upper - lower) / middle


def true_ranges(m: Market) -> np.ndarray:
    spans = [volatility.true_range(h, low, c) for h, low, c in zip(m.high[1:], m.low[1:], m.close[:-1], strict=True)]
    return np.array([np.nan, *spans])


def movements(m: Market, which: int) -> np.ndarray:
    bars = zip(m.high[1:], m.low[1:], m.high[:-1], m.low[:-1], strict=True)
    return np.array([np.nan, *(trend.directional_movement(*bar)[which] for bar in bars)])


TWINS = (
    Twin("SMA", lambda m, n: averages.sma(m.close, n), lambda m, n: talib.SMA(m.close, n)),
    Twin("EMA", lambda m, n: averages.ema(m.close, n), lambda m, n: talib.EMA(m.close, n)),
    Twin("WMA", lambda m, n: averages.wma(m.close, n), lambda m, n: talib.WMA(m.close, n)),
    Twin("STDDEV", lambda m, n: volatility.std(m.close, n)[1], lambda m, n: talib.STDDEV(m.close, n)),
    Twin("BBANDS", lambda m, n: volatility.bollinger_width(m.close, n, 2.0), _bands),
    Twin("TRANGE", lambda m, _: true_ranges(m), lambda m, _: talib.TRANGE(*m)),
    Twin("ATR", lambda m, n: volatility.atr(*m, n), lambda m, n: talib.ATR(*m, n)),
    Twin("PLUS_DM", lambda m, _: movements(m, 0), lambda m, _: talib.PLUS_DM(m.high, m.low, 1)),
    Twin("MINUS_DM", lambda m, _: movements(m, 1), lambda m, _: talib.MINUS_DM(m.high, m.low, 1)),
    Twin("PLUS_DI", lambda m, n: trend.adx(*m, n)[1], lambda m, n: talib.PLUS_DI(*m, n)),
    Twin("MINUS_DI", lambda m, n: trend.adx(*m, n)[2], lambda m, n: talib.MINUS_DI(*m, n)),
    Twin("ADX", lambda m, n: trend.adx(*m, n)[0], lambda m, n: talib.ADX(*m, n)),
    Twin("RSI", lambda m, n: momentum.rsi(m.close, n), lambda m, n: talib.RSI(m.close, n)),
    Twin("ROCP", lambda m, n: momentum.roc(m.close, n), lambda m, n: talib.ROCP(m.close, n)),
)
each_twin = pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)


def market(seed: int, bars: int, level: float = 100.0, calm: float = 0.01) -> Market:
    """A random walk with gaps between bars; calm and wild stretches."""
    rng = np.random.default_rng(seed)
    scale = np.repeat(rng.choice([0.1, 1.0, 4.0], bars // 20 + 1), 20)[:bars, None] * calm / 4.0
    path = np.exp(np.cumsum((rng.normal(0.0, 1.0, (bars, 16)) * scale).ravel())).reshape(bars, 16) * level
    return Market(path.max(axis=1), path.min(axis=1), path[:, -1].copy())


@pytest.mark.req("REG-01", "SIG-01")
@each_twin
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), period=st.integers(2, 60), level=st.sampled_from((0.0001, 1.1, 150.0, 60_000.0)))
def test_the_same_to_a_billionth_from_the_first_value_on(twin: Twin, seed: int, period: int, level: float) -> None:
    m = market(seed, 300, level)
    ours, theirs = twin.ours(m, period), twin.theirs(m, period)
    assert np.isfinite(ours).sum() > 150
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11 * max(1.0, level))


@pytest.mark.req("REG-01", "SIG-01")
@pytest.mark.parametrize("seed", range(5))
def test_a_macd_line_differs_only_in_the_seed_of_its_fast_average(seed: int) -> None:
    """TA-Lib begins the fast average late, so that both have their first value on the same bar."""
    close = market(seed, 400).close
    line, smooth = averages.macd(close, 12, 26, 9)
    theirs, their_signal, _ = talib.MACD(close, 12, 26, 9)
    late = np.concatenate((np.full(14, np.nan), averages.ema(close[14:], 12))) - averages.ema(close, 26)
    shown = late[33:]
    np.testing.assert_allclose(shown, theirs[33:], rtol=1e-9, atol=1e-11)
    signal = averages.ema(late[25:], 9)
    np.testing.assert_allclose(signal[8:], their_signal[33:], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(line[300:], theirs[300:], atol=1e-9)
    np.testing.assert_allclose(smooth[300:], their_signal[300:], atol=1e-9)
    assert abs(line[33] - theirs[33]) > 1e-6


@pytest.mark.req("REG-01", "SIG-01")
def test_where_nothing_moves_ours_is_undefined_and_theirs_is_a_number() -> None:
    flat = np.full(60, 1.25)
    still = Market(flat, flat, flat)
    for name in ("RSI", "ADX", "PLUS_DI", "MINUS_DI"):
        twin = next(each for each in TWINS if each.name == name)
        assert np.isnan(twin.ours(still, 14)).all()
        assert twin.theirs(still, 14)[-1] == 0.0


@pytest.mark.req("SIG-01")
def test_the_page_of_the_docs_names_every_twin() -> None:
    page = DOCS.read_text()
    assert [twin.name for twin in TWINS if f"`{twin.name}`" not in page] == []
    assert "`MACD`" in page
