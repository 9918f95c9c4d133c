"""The numbers strategies decide on, computed by the framework: a table of them, one compiled call per slice.

Live advances the table bar by bar, research runs it over whole arrays; both drive the same steps.
"""

# ruff: noqa: N802  (in a strategy a feature reads as a noun: Sma(20))
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from common.messages.market_data import Bar
from common.model.time import NS_PER_SECOND
from common.quant.adaptive import atr_percentile_step, atr_percentile_words
from common.quant.averages import EMA_STATE, MACD_STATE, SMA_STATE, WMA_STATE, ema_step, macd_step, sma_step, wma_step
from common.quant.kernel import Floats, Ints, kernel
from common.quant.momentum import ROC_STATE, RSI_STATE, roc_step, rsi_step
from common.quant.profile import NODE, POC, VAH, VAL, profile_step, profile_words
from common.quant.trend import ADX_STATE, CHOP_STATE, adx_step, chop_step
from common.quant.volatility import ATR_STATE, STD_STATE, atr_step, std_step
from signals import kernel as framework

_LONGEST: Final = 100_000
INPUTS: Final = 5  # of a bar: high, low, close, volume, seconds since 1970 of its close
_READ: Final = -1  # the kind of a line whose number another line's step has left in the state they share


class Feature(msgspec.Struct, frozen=True):
    """One number per bar, NaN until warm. `kind` and `periods` are a row of the table, `words` the size of its state.

    Features alike in kind and periods share one state and one step; `part` is the word of it that holds their number.
    """

    kind: int
    periods: tuple[int, ...]
    words: int
    name: str
    part: int = 0

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.periods))})"


def _feature(kind: int, name: str, *periods: float, fixed: int, rings: int = 0, least: int = 1) -> Feature:
    """A feature whose state has `fixed` words and `rings` windows as long as its first period."""
    whole = _whole(name, periods, least, _LONGEST, "bars")
    return Feature(kind, whole, fixed + rings * whole[0], name)


def _whole(name: str, periods: tuple[float, ...], least: int, most: int, unit: str) -> tuple[int, ...]:
    for period in periods:
        if not _is_whole(period) or not least <= period <= most:
            raise ValueError(f"{name}: period {period!r}: expected a whole number of {unit} from {least} to {most}")
    return tuple(int(period) for period in periods)


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


def Rsi(period: float) -> Feature:
    """Wilder's relative strength index of closes, 0 to 100."""
    return _feature(9, "Rsi", period, fixed=RSI_STATE)


def Roc(period: float) -> Feature:
    """Change of the close over `period` bars, as a fraction."""
    return _feature(10, "Roc", period, fixed=ROC_STATE, rings=1)


def AtrPercentile(hours: float = 24, days: float = 30) -> Feature:
    """Rank of the ATR of the last `hours` among those of the last `days`, 0 to 1, new once an hour; bars of up to an hour."""
    whole = (*_whole("AtrPercentile", (hours,), 1, 1_000, "hours"), *_whole("AtrPercentile", (days,), 1, 365, "days"))
    return Feature(11, whole, atr_percentile_words(*whole), "AtrPercentile")


def Poc(days: float = 7) -> Feature:
    """Price at which most was traded in the last days, new once an hour; bars of up to an hour."""
    return _of_profile("Poc", days, POC)


def Vah(days: float = 7) -> Feature:
    """Upper end of the prices that hold 70 % of what was traded in the last days."""
    return _of_profile("Vah", days, VAH)


def Val(days: float = 7) -> Feature:
    """Lower end of the prices that hold 70 % of what was traded in the last days."""
    return _of_profile("Val", days, VAL)


def VolumeHere(days: float = 7) -> Feature:
    """How much was traded at the close in the last days, over what was traded at the Poc, 0 to 1."""
    return _of_profile("VolumeHere", days, NODE)


def _of_profile(name: str, days: float, part: int) -> Feature:
    whole = _whole(name, (days,), 1, 60, "days")
    return Feature(12, whole, profile_words(*whole), name, part)


def table(features: Sequence[Feature]) -> Ints:
    """int64[features, 8]: kind, three periods, first and last + 1 word of state, the next line that reads the same state (0:
    none), which word of it (where the step leaves several numbers).
    """
    lines: list[list[int]] = []
    newest: dict[tuple[int, tuple[int, ...]], int] = {}  # the last line so far of each kind and periods
    end = 0
    for number, feature in enumerate(features):
        shared = newest.get((feature.kind, feature.periods))
        newest[feature.kind, feature.periods] = number
        if shared is None:
            periods = (*feature.periods, *[1] * (3 - len(feature.periods)))
            lines.append([feature.kind, *periods, end, end + feature.words, 0, feature.part])
            end += feature.words
        else:
            lines[shared][6] = number
            lines.append([_READ, 1, 1, 1, *lines[shared][4:6], 0, feature.part])
    return np.array(lines, np.int64).reshape(len(features), 8)


def words_of(lines: Ints) -> int:
    """Words of state that a table needs."""
    return int(lines[:, 5].max(initial=0))


def inputs(bars: Sequence[Bar], ts_event: int) -> Floats:
    """float64[bars, 5] of bars that close together, as `advance` takes them."""
    seconds = float(ts_event // NS_PER_SECOND)
    return np.array([(bar.high, bar.low, bar.close, bar.volume, seconds) for bar in bars], np.float64)


@kernel
def feature_step(
    line: Ints, own: Floats, high: float, low: float, close: float, volume: float, seconds: float
) -> float:
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
    if kind == 8:
        return macd_step(own, close, a, b, c)[1]
    return _rarer_step(line, own, high, low, close, volume, seconds)


@kernel
def _rarer_step(line: Ints, own: Floats, high: float, low: float, close: float, volume: float, seconds: float) -> float:
    kind, a, b = line[0], line[1], line[2]
    if kind == 9:
        return rsi_step(own, close, a)
    if kind == 10:
        return roc_step(own, close, a)
    if kind == 11:
        return atr_percentile_step(own, high, low, close, seconds, a, b)
    if kind == 12:
        profile_step(own, high, low, close, volume, seconds, a)
    return float(own[line[7]])


@kernel
def advance(lines: Ints, words: Floats, values: Floats, closes: Floats, rows: Ints, bars: Floats, out: Floats) -> None:
    """One bar each of `rows` of the state: `words` float64[any, words], `values` float64[any, features], `closes`
    float64[any, window], newest last. `bars` is float64[bars, 5]: high, low, close, volume, seconds. `out`, float64[bars,
    2 features + 1], receives the features of this bar, those of the bar before, and the close before.
    """
    count = lines.shape[0]
    for i in range(rows.size):
        row, last, own = rows[i], values[rows[i]], words[rows[i]]
        out[i, 2 * count] = closes[row, -1]
        closes[row, :-1] = closes[row, 1:]
        closes[row, -1] = bars[i, 2]
        for j in range(count):
            out[i, count + j] = last[j]
            last[j] = feature_step(
                lines[j], own[lines[j, 4] : lines[j, 5]], bars[i, 0], bars[i, 1], bars[i, 2], bars[i, 3], bars[i, 4]
            )
            out[i, j] = last[j]


@kernel
def compute(lines: Ints, bars: Floats) -> Floats:
    """All features of a whole series: float64[bars, features], a feature's values side by side in memory."""
    words = 0
    for j in range(lines.shape[0]):
        words = max(words, lines[j, 5])
    state, out = np.zeros(words), np.empty((lines.shape[0], bars.shape[0]))
    for j in range(lines.shape[0]):
        if lines[j, 0] == _READ:
            continue
        line, own, reader = lines[j], state[lines[j, 4] : lines[j, 5]], lines[j, 6]
        for i in range(bars.shape[0]):
            out[j, i] = feature_step(line, own, bars[i, 0], bars[i, 1], bars[i, 2], bars[i, 3], bars[i, 4])
            other = reader
            while other > 0:
                out[other, i] = own[lines[other, 7]]
                other = lines[other, 6]
    return out.T


def warm() -> None:
    """Compiles both drivers, and the framework's part."""
    lines, bars, one = table((Sma(1),)), np.ones((1, INPUTS)), np.zeros((1, 1))
    advance(lines, np.zeros((1, words_of(lines))), one, one.copy(), np.zeros(1, np.int64), bars, np.empty((1, 3)))
    compute(lines, bars)
    framework.warm()
