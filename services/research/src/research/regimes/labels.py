"""What a series was, said afterwards: labels that look at the future, to judge those who may not.

Codes of trend are places in `worlds.TRENDS`, those of stress 0 (calm) and 1; -1 is unknown.
"""

from __future__ import annotations

from itertools import pairwise
from math import ceil
from typing import Final, NamedTuple

import numpy as np

from common.model.time import NS_PER_DAY
from common.quant.kernel import Floats, Ints
from research.regimes.markets import Codes
from research.regimes.worlds import BEAR, BULL, SIDEWAYS

UNKNOWN: Final = -1
UP_DAYS: Final = 10.0  # a turn up is confirmed by so many daily standard deviations
DOWN_SHARE: Final = 0.75  # of that confirm a turn down: the ratio of the paper's 20 and 15 per cent
WEAK: Final = 1.5  # a phase that moves less than so many confirmations is sideways
STRESSED_SHARE: Final = 1 / 3  # the top tercile


class Turn(NamedTuple):
    """The bar of a peak (`direction` 1) or a trough (-1)."""

    bar: int
    direction: int


def turning_points(log_price: Floats, up: float, down: float) -> list[Turn]:
    """Peaks and troughs in turn, by the filter of Lunde and Timmermann (2004, Journal of Business & Economic Statistics 22).

    A trough is the lowest point since the last peak, once the price has risen from it by `up`; a peak the highest since the
    last trough, once it has fallen by `down`. What has not been confirmed by the end is none. `up` and `down` are log.
    """
    turns: list[Turn] = []
    high = low = direction = 0
    for i, price in enumerate(log_price.tolist()):
        if direction >= 0 and price > log_price[high]:
            high = i
        if direction <= 0 and price < log_price[low]:
            low = i
        if direction >= 0 and log_price[high] - price >= down:
            turns.append(Turn(high, 1))
            direction, low = -1, i
        elif direction <= 0 and price - log_price[low] >= up:
            turns.append(Turn(low, -1))
            direction, high = 1, i
    return turns


def trends(log_price: Floats, up: float, down: float, weak: float = WEAK) -> Codes:
    """Bull from a trough to the next peak, bear from a peak to the next trough; sideways where that moves less than `weak`
    times what confirms it. A turning point belongs to the phase it ends; before the first and after the last is unknown.
    """
    out = np.full(log_price.size, UNKNOWN, np.int8)
    turns = turning_points(log_price, up, down)
    for begin, end in pairwise(turns):
        rises = end.direction == 1
        moved = abs(log_price[end.bar] - log_price[begin.bar])
        strong = moved >= weak * (up if rises else down)
        out[begin.bar + 1 : end.bar + 1] = (BULL if rises else BEAR) if strong else SIDEWAYS
    return out


def bars_a_day(ts: Ints) -> float:
    """On days that have any, of bars that close at `ts`."""
    return ts.size / np.unique((ts - 1) // NS_PER_DAY).size


def trends_by_deviation(log_price: Floats, bars_a_day: float) -> Codes:
    """As `trends`, with thresholds in daily standard deviations of the whole series; unknown throughout where nothing moves."""
    sigma = float(np.diff(log_price).std()) * np.sqrt(bars_a_day) if log_price.size > 1 else 0.0
    if not sigma > 0.0:
        return np.full(log_price.size, UNKNOWN, np.int8)
    return trends(log_price, UP_DAYS * sigma, UP_DAYS * DOWN_SHARE * sigma)


def realized(returns: Floats, window: int) -> Floats:
    """Mean squared return of the `window` bars around each; fewer at the ends, down to half of them."""
    total = np.concatenate(([0.0], np.cumsum(returns**2)))
    at = np.arange(returns.size)
    begin, end = np.maximum(0, at - window // 2), np.minimum(returns.size, at + (window + 1) // 2)
    return np.asarray((total[end] - total[begin]) / (end - begin))


def stress(returns: Floats, window: int) -> Codes:
    """1 where centered realized volatility is in its top third of the whole series, else 0."""
    variance = realized(returns, window)
    return (variance > np.quantile(variance, 1.0 - STRESSED_SHARE)).astype(np.int8)


def window_of(bars_a_day: float) -> int:
    """Bars of realized volatility: five days of intraday bars, twenty days of days."""
    return ceil(5 * bars_a_day) if bars_a_day > 1 else 20


def changes(codes: Codes) -> Ints:
    """Bars at which a known label differs from the known one before."""
    differs = (codes[1:] != codes[:-1]) & (codes[1:] != UNKNOWN) & (codes[:-1] != UNKNOWN)
    return np.flatnonzero(differs) + 1


def changes_within(trend: Codes, stressed: Codes, bars: int) -> Floats:
    """1 where trend or stress differs from the bar before at some of the next `bars`, 0 where not; NaN where a label of those
    bars is unknown. A kind of label that is unknown throughout does not count.
    """
    kinds = [codes for codes in (trend, stressed) if (codes != UNKNOWN).any()]
    out = np.full(trend.size, np.nan)
    if not kinds or trend.size <= bars:
        return out
    moved, unknown = np.zeros(trend.size, bool), np.zeros(trend.size, bool)
    for codes in kinds:
        moved[1:] |= codes[1:] != codes[:-1]
        unknown |= codes == UNKNOWN
    moves, blind = (np.concatenate(([0], np.cumsum(each))) for each in (moved, unknown))
    at = np.arange(trend.size - bars)
    ends = at + bars + 1
    seen = blind[ends] == blind[at]
    out[at[seen]] = (moves[ends] > moves[at + 1])[seen]
    return out
