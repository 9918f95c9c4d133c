"""Looks for the next slice at which something may happen: compiled, over the arrays of a market."""

from __future__ import annotations

from math import floor, inf, nan, sqrt
from typing import Final

import numpy as np

from common.quant.kernel import Floats, Ints, kernel

MARGIN: Final = 1e-9  # what comes this close to an edge is looked at exactly
NOT_FOUND: Final = 0
EVENT: Final = 1
VAR: Final = 2

# Rows of `by_instrument`, float64[rows, instruments].
STOP_LOW: Final = 0  # an event if the low of a bar is at or under it
STOP_HIGH: Final = 1
BELOW: Final = 2  # an event if the close of a bar is at or under it
ABOVE: Final = 3
QTY: Final = 4  # signed units held
DIRECT: Final = 5  # cash whose rate is the price of this instrument
INVERSE: Final = 6  # cash whose rate is one over it
WAITING: Final = 7  # units that trade once they are worth it
SQUARES: Final = 8
BUT_OLDEST: Final = 9
CLOSES: Final = 10
NORMAL: Final = 11
WEIGHT: Final = 12  # at which VaR is known
SLOPE: Final = 13
ROWS: Final = 14

# Places in `of_book`, float64.
CASH: Final = 0  # in the account currency
MIN_EQUITY: Final = 1
PEAK: Final = 2
DRAWDOWN_LOW: Final = 3
DRAWDOWN_HIGH: Final = 4
OPENING: Final = 5
LOSS_HIGH: Final = 6
VOLATILITY_LOW: Final = 7
VOLATILITY_HIGH: Final = 8
VOLATILITY_DAYS: Final = 9
VAR_ROOM: Final = 10
MIN_NOTIONAL: Final = 11
HELD: Final = 12  # 1: something is held, or cash in another currency
PLACES: Final = 13


def fresh(instruments: int) -> tuple[Floats, Floats]:
    """`by_instrument` and `of_book` in which nothing is an event."""
    by_instrument = np.zeros((ROWS, instruments))
    by_instrument[STOP_LOW] = by_instrument[BELOW] = -inf
    by_instrument[STOP_HIGH] = by_instrument[ABOVE] = inf
    by_instrument[NORMAL] = nan
    of_book = np.zeros(PLACES)
    of_book[DRAWDOWN_LOW] = of_book[VOLATILITY_LOW] = -inf
    of_book[DRAWDOWN_HIGH] = of_book[LOSS_HIGH] = of_book[VOLATILITY_HIGH] = of_book[VAR_ROOM] = inf
    return by_instrument, of_book


@kernel
def touched(close: Floats, high: Floats, low: Floats, by: Floats) -> bool:
    """Whether a bar of the slice touches an edge. Arrays of one slice, NaN in `low` where there is no bar."""
    for i in range(low.size):
        if low[i] == low[i]:
            if low[i] <= by[STOP_LOW, i] or high[i] >= by[STOP_HIGH, i]:
                return True
            if close[i] <= by[BELOW, i] or close[i] >= by[ABOVE, i]:
                return True
    return False


@kernel
def units(px: Floats, quote: Ints, inverse: Ints, out: Floats) -> None:
    """What one unit of each instrument is worth in the account currency. `quote[i]` is the instrument that converts its
    quote currency, -1 for none.
    """
    for i in range(px.size):
        rate = 1.0
        if quote[i] >= 0:
            rate = 1.0 / px[quote[i]] if inverse[i] else px[quote[i]]
        out[i] = px[i] * rate


@kernel
def equity_of(px: Floats, worth: Floats, by: Floats, cash: float) -> float:
    """Cash and positions; `worth` from `units`."""
    total = cash
    for i in range(px.size):
        if by[QTY, i] != 0.0:
            total += by[QTY, i] * worth[i]
        if by[DIRECT, i] != 0.0:
            total += by[DIRECT, i] * px[i]
        if by[INVERSE, i] != 0.0:
            total += by[INVERSE, i] / px[i]
    return total


@kernel
def volatility(close: Floats, worth: Floats, by: Floats, of: Floats) -> float:
    """As `risk_guardian.market.Market.ratio`; NaN where it is not defined."""
    flat, total, size = of[HELD] == 0.0, 0.0, 0.0
    if not flat:
        flat = True
        for i in range(close.size):
            flat = flat and by[QTY, i] == 0.0
    for i in range(close.size):
        if by[NORMAL, i] != by[NORMAL, i] or (not flat and by[QTY, i] == 0.0):
            continue
        moved = close[i] / by[CLOSES, i] - 1.0
        squares, alternative = by[SQUARES, i], by[BUT_OLDEST, i] + moved * moved
        squares = max(squares, alternative)
        weight = 1.0 if flat else abs(by[QTY, i] * worth[i])
        total += sqrt(squares / of[VOLATILITY_DAYS]) / by[NORMAL, i] * weight
        size += weight
    return total / size if size > 0.0 else nan


@kernel
def is_worth_trading(worth: Floats, by: Floats, min_notional: float) -> bool:
    """Whether something that waits has become worth it."""
    for i in range(worth.size):
        if by[WAITING, i] > 0.0 and not by[WAITING, i] * worth[i] < min_notional * (1.0 - MARGIN):
            return True
    return False


@kernel
def has_lost(equity: float, peak: float, of: Floats) -> bool:
    """Whether equity, drawdown or the day's loss leave their bands."""
    if not equity > of[MIN_EQUITY] * (1.0 + MARGIN) or not equity > 0.0:
        return True
    fallen = (peak - equity) / peak
    if fallen > of[DRAWDOWN_HIGH] - MARGIN or fallen < of[DRAWDOWN_LOW] + MARGIN:
        return True
    return bool(of[OPENING] > 0.0 and (of[OPENING] - equity) / of[OPENING] > of[LOSS_HIGH] - MARGIN)


@kernel
def change_of_var(worth: Floats, equity: float, by: Floats) -> float:
    """By how much VaR may differ from what it was at the known weights."""
    total = 0.0
    for i in range(worth.size):
        if by[QTY, i] != 0.0:
            total += abs(by[QTY, i] * worth[i] / equity - by[WEIGHT, i]) * by[SLOPE, i]
    return total


@kernel
def scan(
    first: int,
    stop: int,
    close: Floats,
    high: Floats,
    low: Floats,
    px: Floats,
    quote: Ints,
    inverse: Ints,
    by: Floats,
    of: Floats,
    equity: Floats,
) -> tuple[int, int]:
    """The first slice from `first` to before `stop` at which something may happen, and EVENT or VAR; `stop` and NOT_FOUND if there
    is none. After VAR the search can go on at the same slice, with new weights. `close` are prices as said, `px` as money knows them (rounded); all of shape (slices, instruments). Fills `equity` (by
    slice) of the slices before, as far as something is held.
    """
    worth = np.zeros(px.shape[1])
    peak = of[PEAK]
    watch_volatility = of[VOLATILITY_LOW] > -inf or of[VOLATILITY_HIGH] < inf
    in_money = of[HELD] != 0.0 or of[MIN_NOTIONAL] < inf
    for k in range(first, stop):
        if touched(close[k], high[k], low[k], by):
            return k, EVENT
        if in_money:
            units(px[k], quote, inverse, worth)
            if is_worth_trading(worth, by, of[MIN_NOTIONAL]):
                return k, EVENT
        if of[HELD] != 0.0:
            equity[k] = equity_of(px[k], worth, by, of[CASH])
            peak = max(peak, equity[k])
            if has_lost(equity[k], peak, of):
                return k, EVENT
        if watch_volatility or of[VAR_ROOM] < inf:
            units(close[k], quote, inverse, worth)
        if watch_volatility:
            ratio = volatility(close[k], worth, by, of)
            if ratio > of[VOLATILITY_HIGH] - MARGIN or ratio < of[VOLATILITY_LOW] + MARGIN:
                return k, EVENT
        if of[VAR_ROOM] < inf and not change_of_var(worth, equity[k], by) < of[VAR_ROOM]:
            of[PEAK] = peak
            return k, VAR
    return stop, NOT_FOUND


@kernel
def money(close: Floats, scale: Floats, out: Floats) -> None:
    """Prices rounded half to even to 1 / `scale` (a power of ten up to 1e12, by instrument), as `Instrument.round_price` does
    with the decimal that a float is written as. NaN stays NaN.
    """
    for i in range(close.shape[1]):
        for k in range(close.shape[0]):
            if k and close[k, i] == close[k - 1, i]:
                out[k, i] = out[k - 1, i]
            elif close[k, i] != close[k, i]:
                out[k, i] = nan
            else:
                out[k, i] = rounded(close[k, i], scale[i])


@kernel
def rounded(value: float, scale: float) -> float:
    """One price. A float is halfway between two multiples where it is the one nearest to that decimal."""
    number = floor(value * scale) * 1.0
    while (number + 1.0) / scale <= value:
        number += 1.0
    while number / scale > value:
        number -= 1.0
    half = (2.0 * number + 1.0) * 5.0 / (scale * 10.0)
    if value > half or (value == half and number % 2.0 == 1.0):
        number += 1.0
    return number / scale


@kernel
def turning_points(equity: Floats, first: int, stop: int, high: float, peak: float, worst: float, out: Ints) -> int:
    """The slices that may hold the largest equity from `first` to before `stop` (where that may be over `high`), the smallest, and
    the peak and the trough of the largest drawdown from `peak` on (where that may be over `worst`); in order of time, in `out`.
    Gives their number.
    """
    top, bottom, running, deepest, before = -inf, inf, peak, worst, peak
    for k in range(first, stop):
        top, bottom, running = max(top, equity[k]), min(bottom, equity[k]), max(running, equity[k])
        fallen = (running - equity[k]) / running
        if fallen > deepest:
            deepest, before = fallen, running
    found, running = 0, peak
    for k in range(first, stop):
        running = max(running, equity[k])
        is_top = equity[k] >= top - abs(top) * MARGIN and top >= high * (1.0 - MARGIN)
        is_peak = equity[k] >= before - abs(before) * MARGIN and equity[k] <= before + abs(before) * MARGIN
        is_trough = (running - equity[k]) / running >= deepest - MARGIN and deepest > 0.0
        is_bottom = equity[k] <= bottom + abs(bottom) * MARGIN
        if is_top or is_peak or is_trough or is_bottom:
            out[found] = k
            found += 1
    return found


def warm() -> None:
    """Compiles what is called from outside."""
    table, none, steps = np.ones((1, 1)), np.full(1, -1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    by, of = fresh(1)
    equity = np.ones(1)
    units(table[0], none, steps, np.ones(1))
    scan(0, 1, table, table, table, table, none, steps, by, of, equity)
    money(table, np.ones(1), np.ones((1, 1)))
    turning_points(equity, 0, 1, 1.0, 1.0, 0.0, steps)
