"""The numbers strategies decide on, computed by the framework: a table of them, one compiled call per slice.

Live advances the table bar by bar, research runs it over whole arrays; both drive the same steps.
"""

# ruff: noqa: N802  (in a strategy a feature reads as a noun: Sma(20))
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from common.quant.averages import EMA_STATE, MACD_STATE, SMA_STATE, WMA_STATE, ema_step, macd_step, sma_step, wma_step
from common.quant.kernel import Floats, Ints, kernel
from common.quant.trend import ADX_STATE, CHOP_STATE, adx_step, chop_step
from common.quant.volatility import ATR_STATE, STD_STATE, atr_step, std_step
from signals import kernel as framework

_LONGEST: Final = 100_000


class Feature(msgspec.Struct, frozen=True):
    """One number per bar, NaN until warm. `kind` and `periods` are a row of the table, `words` the size of its state."""

    kind: int
    periods: tuple[int, ...]
    words: int
    name: str

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.periods))})"


def _feature(kind: int, name: str, *periods: float, fixed: int, rings: int = 0, least: int = 1) -> Feature:
    """A feature whose state has `fixed` words and `rings` windows as long as its first period."""
    for period in periods:
        if not _is_whole(period) or not least <= period <= _LONGEST:
            raise ValueError(f"{name}: period {period!r}: expected a whole number of bars from {least} to {_LONGEST}")
    whole = tuple(int(period) for period in periods)
    return Feature(kind, whole, fixed + rings * whole[0], name)


def _is_whole(value: object) -> bool:
    return isinstance(value, int | float) and value == value // 1


def Sma(period: float) -> Feature:
    """Simple moving average of closes."""
    return _feature(0, "Sma", period, fixed=SMA_STATE, rings=1)


def Ema(period: float) -> Feature:
    """Exponential moving average of closes."""
    return _feature(1, "Ema", period, fixed=EMA_STATE)


def Wma(period: float) -> Feature:
    """Linearly weighted moving average of closes."""
    return _feature(2, "Wma", period, fixed=WMA_STATE, rings=1)


def Std(period: float) -> Feature:
    """Population standard deviation of closes, in price units."""
    return _feature(3, "Std", period, fixed=STD_STATE, rings=1)


def Atr(period: float) -> Feature:
    """Wilder's average true range, in price units."""
    return _feature(4, "Atr", period, fixed=ATR_STATE)


def Adx(period: float) -> Feature:
    """Wilder's ADX, 0 to 100."""
    return _feature(5, "Adx", period, fixed=ADX_STATE, least=2)


def Chop(period: float) -> Feature:
    """Choppiness Index, about 0 to 100."""
    return _feature(6, "Chop", period, fixed=CHOP_STATE, rings=3, least=2)


def Macd(fast: float, slow: float) -> Feature:
    """EMA fast minus EMA slow of closes, in price units."""
    return _feature(7, "Macd", fast, slow, fixed=MACD_STATE)


def MacdSignal(fast: float, slow: float, signal: float) -> Feature:
    """EMA of the MACD line, in price units."""
    return _feature(8, "MacdSignal", fast, slow, signal, fixed=MACD_STATE)


def table(features: Sequence[Feature]) -> Ints:
    """int64[features, 6]: kind, three periods, first and last + 1 word of state."""
    ends = np.cumsum([feature.words for feature in features], dtype=np.int64)
    lines = [
        (feature.kind, *feature.periods, *[1] * (3 - len(feature.periods)), end - feature.words, end)
        for feature, end in zip(features, ends, strict=True)
    ]
    return np.array(lines, np.int64).reshape(len(features), 6)


@kernel
def feature_step(line: Ints, own: Floats, high: float, low: float, close: float) -> float:
    """One bar of one feature: `line` is its row of the table, `own` its words of state."""
    kind, a, b, c = line[0], line[1], line[2], line[3]
    if kind == 0:
        return sma_step(own, close, a)
    if kind == 1:
        return ema_step(own, close, a)
    if kind == 2:
        return wma_step(own, close, a)
    if kind == 3:
        return std_step(own, close, a)[1]
    if kind == 4:
        return atr_step(own, high, low, close, a)
    if kind == 5:
        return adx_step(own, high, low, close, a)[0]
    if kind == 6:
        return chop_step(own, high, low, close, a)
    if kind == 7:
        return macd_step(own, close, a, b, 1)[0]
    return macd_step(own, close, a, b, c)[1]


@kernel
def _value(lines: Ints, j: int, state: Floats, high: float, low: float, close: float) -> float:
    return feature_step(lines[j], state[lines[j, 4] : lines[j, 5]], high, low, close)


@kernel
def advance(
    lines: Ints, words: Floats, values: Floats, closes: Floats, rows: Ints, prices: Floats, out: Floats
) -> None:
    """One bar each of `rows` of the state: `words` float64[any, words], `values` float64[any, features], `closes`
    float64[any, window], newest last. `prices` is float64[bars, 3]: high, low, close. `out`, float64[bars,
    2 features + 1], receives the features of this bar, those of the bar before, and the close before.
    """
    count = lines.shape[0]
    for i in range(rows.size):
        row, last, own = rows[i], values[rows[i]], words[rows[i]]
        out[i, 2 * count] = closes[row, -1]
        closes[row, :-1] = closes[row, 1:]
        closes[row, -1] = prices[i, 2]
        for j in range(count):
            out[i, count + j] = last[j]
            last[j] = _value(lines, j, own, prices[i, 0], prices[i, 1], prices[i, 2])
            out[i, j] = last[j]


@kernel
def compute(lines: Ints, prices: Floats) -> Floats:
    """All features of a whole series: float64[bars, features], a feature's values side by side in memory."""
    words = lines[-1, 5] if lines.shape[0] else 0
    state, out = np.zeros(words), np.empty((lines.shape[0], prices.shape[0]))
    for j in range(lines.shape[0]):
        for i in range(prices.shape[0]):
            out[j, i] = _value(lines, j, state, prices[i, 0], prices[i, 1], prices[i, 2])
    return out.T


def warm() -> None:
    """Compiles both drivers, and the framework's part."""
    lines, prices, one = table((Sma(1),)), np.ones((1, 3)), np.zeros((1, 1))
    advance(lines, np.zeros((1, int(lines[-1, 5]))), one, one.copy(), np.zeros(1, np.int64), prices, np.empty((1, 3)))
    compute(lines, prices)
    framework.warm()
