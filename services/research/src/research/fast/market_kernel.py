"""Compiled loops of the market: validation of rows that are beyond doubt, building of coarser bars, places of bars.

`values` is float64 of shape (7, bars), C order: open, high, low, close, volume, spreads at open and close (NaN: no quotes).
"""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from common.quant.kernel import Floats, Ints, kernel


@kernel
def believe(
    first: int,
    ts: Ints,
    arrival: Ints,
    values: Floats,
    plain: NDArray[np.bool_],
    ratio: float,
    longest: int,
    last_ts: Ints,
    seen: Floats,
) -> int:
    """Takes rows from `first` on as long as they are plain; returns the first that is not, or their number.

    What `market_data.validation` does with `_plain` and `_remember`, operation by operation. Rows that are False in `plain`
    are not plain whatever they hold. `last_ts` (one cell) and `seen` (close, suspect, mean move, moves) are changed in
    place; `longest` is the number of moves that the mean is of.
    """
    opens, highs, lows, closes, volumes, opened, closed = values
    last, suspect, mean_move, moves = seen
    before = last_ts[0]
    row = first
    while row < ts.size:
        open_, high, low, close = opens[row], highs[row], lows[row], closes[row]
        if not (
            plain[row]
            and 0 < low <= open_ <= high < inf
            and low <= close <= high
            and last / ratio <= low
            and high <= last * ratio
            and before < ts[row] == arrival[row]
            and volumes[row] >= 0
            and not opened[row] < 0
            and not closed[row] < 0
        ):
            break
        level = last
        if suspect != 0.0 and abs(close - suspect) < abs(close - last):
            level = suspect
        moves = min(moves + 1.0, float(longest))
        mean_move += (abs(close / level - 1.0) - mean_move) / moves
        last, suspect, before = close, 0.0, ts[row]
        row += 1
    seen[0], seen[1], seen[2], seen[3] = last, suspect, mean_move, moves
    last_ts[0] = before
    return row


@kernel
def build(ends: Ints, values: Floats, built_ends: Ints, built: Floats) -> None:
    """Bars out of those of `values`, in the order and with the additions of `market_data.bars`.

    `ends` is, for every finer bar, the end of the coarse period that it belongs to; it never falls. `built_ends` and `built`
    have a place for each different end.
    """
    at = -1
    for row in range(ends.size):
        if at < 0 or ends[row] != built_ends[at]:
            at += 1
            built_ends[at] = ends[row]
            for column in range(7):
                built[column, at] = values[column, row]
        else:
            built[1, at] = max(built[1, at], values[1, row])
            built[2, at] = min(built[2, at], values[2, row])
            built[3, at] = values[3, row]
            built[4, at] += values[4, row]
            built[6, at] = values[6, row]


@kernel
def places(ts: Ints, times: Ints) -> Ints:
    """The index in `ts` of each of `times`, all of which are in it; both rise."""
    found = np.empty(times.size, np.int64)
    at = 0
    for i in range(times.size):
        while ts[at] != times[i]:
            at += 1
        found[i] = at
    return found


@kernel
def spread_out(step: Ints, values: Floats, column: int, close: Floats, high: Floats, low: Floats) -> None:
    """Writes an instrument's `column` of the three tables by slice: its last close, NaN before the first; high and low where
    it has a bar, NaN elsewhere.
    """
    row, last = 0, np.nan
    for index in range(close.shape[0]):
        high[index, column] = low[index, column] = np.nan
        if row < step.size and step[row] == index:
            last = values[3, row]
            high[index, column], low[index, column] = values[1, row], values[2, row]
            row += 1
        close[index, column] = last


@kernel
def count(step: Ints, first: Ints) -> None:
    """Adds to `first[i + 1]` the number of bars in slice i."""
    for index in step:
        first[index + 1] += 1


@kernel
def enter(step: Ints, number: int, free: Ints, series: NDArray[np.int16], rows: NDArray[np.int32]) -> None:
    """Writes the bars of series `number` at the next free place of their slices."""
    for row in range(step.size):
        place = free[step[row]]
        series[place], rows[place] = number, row
        free[step[row]] = place + 1


def warm() -> None:
    """Compiles what is called from outside."""
    ts, values = np.array([1, 2]), np.ones((7, 2))
    table = np.empty((2, 1))
    believe(0, ts, ts, values, np.ones(2, np.bool_), 1.1, 100, np.zeros(1, np.int64), np.zeros(4))
    build(ts, values, np.empty(2, np.int64), np.empty((7, 2)))
    step = places(ts, ts)
    spread_out(step, values, 0, table, table.copy(), table.copy())
    first = np.zeros(3, np.int64)
    count(step, first)
    enter(step, 0, np.cumsum(first), np.empty(2, np.int16), np.empty(2, np.int32))
