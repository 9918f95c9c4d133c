"""The least that one would write by hand for one rule, as a yardstick: crosses of two plain averages, configurations side by
side in one loop over bars. Same trades and numbers as the sweep; no blocks, no other rule, no log, no second span.

What every configuration does on every bar is in loops that vectorize, in functions of their own because the compiler gives up on
more arrays at once; the few that fill, stop or turn are visited one by one.
"""

from __future__ import annotations

import numpy as np

from common.quant.kernel import Floats, Ints, kernel
from research.sweep.book import BOOKS_ROLLS, BUY, ENDS_DAY, HIGH, LOW, MARK, ROLLS, SELL, Flags
from research.sweep.holding import BOOKED_LONG, BOOKED_SHORT, ROLL_LONG, ROLL_SHORT

# Rows of the result, float64[rows, configurations].
B_CASH, B_POS, B_KEEP, B_SUM, B_SQUARES, B_DOWNSIDE, B_TRADES, B_GAINED, B_LOST, B_FINANCING = range(10)


@kernel
def _average(closes: Floats, i: int, periods: Ints, ages: Ints, sums: Floats, averages: Floats) -> None:
    """Running sums, added up anew once a period so that rounding does not pile up."""
    for j in range(periods.size):
        period = periods[j]
        ages[j] += 1
        if ages[j] == period:
            ages[j], sums[j] = 0, 0.0
            for k in range(i + 1 - period, i + 1):
                sums[j] += closes[k]
        else:
            sums[j] += closes[i] - (closes[i - period] if i >= period else 0.0)
        averages[j] = sums[j] / period


@kernel
def _watch(
    low: float,
    high: float,
    mark: float,
    start: float,
    cash: Floats,
    pos: Floats,
    peak: Floats,
    keep: Floats,
    stop_low: Floats,
    stop_high: Floats,
    flags: Flags,
) -> None:
    for c in range(cash.size):
        equity = start + (cash[c] + pos[c] * mark)
        best = max(peak[c], equity)
        peak[c] = best
        flags[c] = (low <= stop_low[c]) | (high >= stop_high[c]) | (equity < best * keep[c])


@kernel
def _think(i: float, fast: Floats, slow: Floats, latest: Floats, expires: Floats, thinks: Floats, flags: Flags) -> None:
    """Every fast average with every slow one: nothing is looked up."""
    for j in range(fast.size):
        a, base = fast[j], j * slow.size
        for k in range(slow.size):
            c = base + k
            thought = (1.0 if a > slow[k] else 0.0) - (1.0 if a < slow[k] else 0.0)
            thinks[c] = thought
            flags[c] |= (thought != latest[c]) | (i >= expires[c])


@kernel
def _accrue(roll: Floats, pos: Floats, due: Floats, due_at: Floats) -> None:
    for c in range(pos.size):
        held, before = pos[c], due_at[c]
        due[c] += max(held, 0.0) * roll[ROLL_LONG] - min(held, 0.0) * roll[ROLL_SHORT]
        begun = roll[BOOKED_LONG] if held > 0.0 else (roll[BOOKED_SHORT] if held < 0.0 else 0.0)
        due_at[c] = begun if before == 0.0 else before


@kernel
def _charge(row: float, mark: float, cash: Floats, due: Floats, due_at: Floats, financing: Floats) -> None:
    for c in range(cash.size):
        units = due[c] if due_at[c] == row else 0.0
        amount = np.rint(units * mark * 1e6) / 1e6
        cash[c] += amount
        financing[c] -= amount
        due[c] = 0.0 if due_at[c] == row else due[c]
        due_at[c] = 0.0 if due_at[c] == row else due_at[c]


@kernel
def _end_day(mark: float, start: float, cash: Floats, pos: Floats, previous: Floats, out: Floats) -> None:
    total, squares, downside = out[B_SUM], out[B_SQUARES], out[B_DOWNSIDE]
    for c in range(cash.size):
        equity = start + (cash[c] + pos[c] * mark)
        change = equity / previous[c] - 1.0
        worse = min(change, 0.0)
        total[c] += change
        squares[c] += change * change
        downside[c] += worse * worse
        previous[c] = equity


@kernel
def bare(  # noqa: C901, PLR0912, PLR0915 (one loop is the point)
    closes: Floats,
    prices: Floats,
    rolls: Floats,
    marks: Flags,
    periods: Ints,
    fasts: int,
    starts: Ints,
    longest: Ints,
    stop: float,
    budget: Floats,
    start: float,
    fee: float,
) -> Floats:
    """Configurations are each of the first `fasts` periods with each of the others; one may speak from bar `starts` on. Every row is
    a bar.
    """
    count = starts.size
    out = np.zeros((10, count))
    cash, pos, keep, financing = out[B_CASH], out[B_POS], out[B_KEEP], out[B_FINANCING]
    trades, gained, lost = out[B_TRADES], out[B_GAINED], out[B_LOST]
    keep[:] = 1.0
    sums, averages, ages = np.zeros(periods.size), np.zeros(periods.size), np.zeros(periods.size, np.int64)
    target, paid, previous = np.zeros(count), np.zeros(count), np.full(count, start)
    peak, stop_low, stop_high = np.full(count, start), np.full(count, -np.inf), np.full(count, np.inf)
    latest, said, spent = np.zeros(count), np.zeros(count), np.zeros(count)
    thinks, expires, due, due_at = np.zeros(count), np.full(count, np.inf), np.zeros(count), np.zeros(count)
    pending, waiting, rolled = np.empty(count, np.int64), 0, 0
    flags = np.zeros((count + 7) // 8 * 8, np.uint8)
    own, words = flags[:count], flags.view(np.uint64)
    for i in range(closes.size):
        close, mark, low, high = closes[i], prices[MARK, i], prices[LOW, i], prices[HIGH, i]
        _average(closes, i, periods, ages, sums, averages)
        if marks[i] & ROLLS:
            _accrue(rolls[rolled], pos, due, due_at)
            rolled += 1
        for k in range(waiting):
            c = pending[k]
            px = prices[BUY, i] if target[c] > pos[c] else prices[SELL, i]
            if pos[c] != 0.0:
                got = pos[c] * px - np.rint(abs(pos[c]) * px * fee * 1e6) / 1e6
                cash[c] += got
                profit = got - paid[c]
                trades[c] += 1.0
                gained[c] += max(profit, 0.0)
                lost[c] -= min(profit, 0.0)
            if target[c] != 0.0:
                paid[c] = target[c] * px + np.rint(abs(target[c]) * px * fee * 1e6) / 1e6
                cash[c] -= paid[c]
            pos[c] = target[c]
        waiting = 0
        if marks[i] & BOOKS_ROLLS:
            _charge(float(i), mark, cash, due, due_at, financing)
        _watch(low, high, mark, start, cash, pos, peak, keep, stop_low, stop_high, own)
        _think(float(i), averages[:fasts], averages[fasts:], latest, expires, thinks, own)
        for w in range(words.size):
            if words[w] == 0:
                continue
            for c in range(8 * w, min(8 * w + 8, count)):
                if flags[c] == 0:
                    continue
                equity = start + (cash[c] + pos[c] * mark)
                if equity < peak[c] * keep[c]:
                    keep[c] = equity / peak[c]
                if low <= stop_low[c] or high >= stop_high[c]:
                    target[c], stop_low[c], stop_high[c] = 0.0, -np.inf, np.inf
                if i >= starts[c]:
                    thought, says = thinks[c], said[c]
                    latest[c] = thought
                    if thought != spent[c]:
                        spent[c] = 0.0
                    if thought == 0.0:
                        said[c] = 0.0
                    elif thought != says and thought != spent[c]:
                        said[c] = thought
                    elif says != 0.0 and i >= expires[c]:
                        said[c], spent[c] = 0.0, says
                    if said[c] != says:
                        target[c], stop_low[c], stop_high[c], expires[c] = 0.0, -np.inf, np.inf, np.inf
                        if said[c] != 0.0:
                            expires[c] = i + longest[c]
                            qty = max(0.0, np.floor(equity * budget[c] / (mark * stop) * (1.0 + 1e-12)))
                            target[c] = said[c] * qty
                            if target[c] > 0.0:
                                stop_low[c] = close * (1.0 - stop)
                            elif target[c] < 0.0:
                                stop_high[c] = close * (1.0 + stop)
                if target[c] != pos[c]:
                    pending[waiting] = c
                    waiting += 1
        if marks[i] & ENDS_DAY:
            _end_day(mark, start, cash, pos, previous, out)
    return out
