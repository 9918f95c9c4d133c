"""The books of all configurations, side by side, over a block of rows of one series.

A row is a base bar, or an instant at which only a bar of the signals' timeframe closes. What happens to every book on
every row is a few vectorized loops across configurations; what happens to few of them (a fill, a stop, a new direction) is
visited one by one. Order within a row, as in the whole system: fills at the price at which the row begins, stops by the
bar's range, new directions at its close. An order fills on the next base bar.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.quant.kernel import Floats, Ints, kernel
from research.sweep.holding import BOOKED_LONG, BOOKED_SHORT, ROLL_LONG, ROLL_SHORT
from research.sweep.opinions import CONFIG, DIRECTION

Flags: TypeAlias = NDArray[np.uint8]

# Rows of the books, float64[rows, configurations]. CASH is in the quote currency, over what the account began with; KEEP is one
# less the worst drawdown; QUEUED is 1 while it waits for a fill; TRADE the cash of the open trade, without financing; PREVIOUS the
# equity at the last end of a day; DUE what financing has accrued (units of the base, > 0 to be received), DUE_AT the row that books
# it (0: nothing has); FINANCING what was paid so far, in the account's currency as FEES is.
STOP_LOW, STOP_HIGH, CASH, POS, PEAK, KEEP, TARGET, PREVIOUS = range(8)
SUM, SQUARES, DOWNSIDE, STRESSED, TRADE, TRADES, WINS, GAINED, LOST, FEES, BUDGET, QUEUED = range(8, 20)
DUE, DUE_AT, FINANCING = range(20, 23)
BOOK_ROWS = 23
# What is measured: rows that begin anew with each span.
MEASURED = (SUM, SQUARES, DOWNSIDE, STRESSED, TRADES, WINS, GAINED, LOST, FEES, FINANCING)
# Rows of prices, float64[rows, rows of the series].
LOW, HIGH, MARK, RATE, BUY, SELL = range(6)
PRICE_ROWS = 6
# Rows of the depth, float64[2, rows of the series or 0]: market impact of a whole volume (basis points, 0: none), and that volume.
REACH, VOLUME = range(2)
# Bits of a row's marks.
IS_BASE, ENDS_DAY, IS_STRESS, ENDS_SPAN, IS_SAMPLE, ROLLS, BOOKS_ROLLS = 1, 2, 4, 8, 16, 32, 64
# Columns of the log of fills, float64[any, 6]; the prices are those at which the old position was closed and the new one opened.
LOG_ROW, LOG_CONFIG, LOG_QTY, LOG_FEE, LOG_CLOSED, LOG_OPENED = range(6)
LOG_COLUMNS = 6
_GUARD = 1.0 + 1e-12  # a quotient this close under a whole number is that number
_TINY = 1e-6  # as `series` rounds prices


@kernel
def _look(low: float, high: float, mark: float, rate: float, start: float, books: Floats, flags: Flags) -> None:
    """Peaks of equity, and a flag for every book that hit its stop or is in a new worst drawdown."""
    stop_low, stop_high, cash, pos = books[STOP_LOW], books[STOP_HIGH], books[CASH], books[POS]
    peak, keep = books[PEAK], books[KEEP]
    for c in range(flags.size):
        equity = start + (cash[c] + pos[c] * mark) * rate
        best = max(peak[c], equity)
        peak[c] = best
        flags[c] = (low <= stop_low[c]) | (high >= stop_high[c]) | (equity < best * keep[c])


@kernel
def _accrue(roll: Floats, books: Floats) -> None:
    """What is held has passed a roll. The row of the booking is that of the first roll not yet booked."""
    pos, due, due_at = books[POS], books[DUE], books[DUE_AT]
    long, short, long_at, short_at = roll[ROLL_LONG], roll[ROLL_SHORT], roll[BOOKED_LONG], roll[BOOKED_SHORT]
    for c in range(pos.size):
        held, before = pos[c], due_at[c]
        due[c] += max(held, 0.0) * long - min(held, 0.0) * short
        begun = long_at if held > 0.0 else (short_at if held < 0.0 else 0.0)
        due_at[c] = begun if before == 0.0 else before


@kernel
def _book_rolls(row: float, mark: float, rate: float, books: Floats) -> None:
    """A millionth of the quote currency is the smallest."""
    cash, due, due_at, financing = books[CASH], books[DUE], books[DUE_AT], books[FINANCING]
    for c in range(cash.size):
        booked = due_at[c] == row
        units = due[c]
        amount = np.rint((units if booked else 0.0) * mark * 1e6) / 1e6
        cash[c] += amount
        financing[c] -= amount * rate
        due[c] = 0.0 if booked else units
        due_at[c] = 0.0 if booked else due_at[c]


@kernel
def _end_day(mark: float, rate: float, start: float, stress: float, books: Floats) -> None:
    cash, pos, previous, total = books[CASH], books[POS], books[PREVIOUS], books[SUM]
    squares, downside, stressed = books[SQUARES], books[DOWNSIDE], books[STRESSED]
    for c in range(cash.size):
        equity = start + (cash[c] + pos[c] * mark) * rate
        change = equity / previous[c] - 1.0
        lost = min(change, 0.0)
        total[c] += change
        squares[c] += change * change
        downside[c] += lost * lost
        stressed[c] += change * stress
        previous[c] = equity


@kernel
def _sample(mark: float, rate: float, start: float, books: Floats, out: Floats) -> None:
    for c in range(out.size):
        out[c] = start + (books[CASH, c] + books[POS, c] * mark) * rate


@kernel
def _end_span(mark: float, rate: float, start: float, books: Floats, finished: Floats) -> None:
    """Keeps what was measured so far and begins anew; positions stay."""
    finished[:] = books
    for row in MEASURED:
        books[row] = 0.0
    _sample(mark, rate, start, books, books[PEAK])
    books[KEEP] = 1.0


@kernel
def _fee(qty: float, px: float, fee: float) -> float:
    """A millionth of the quote currency is the smallest."""
    return float(np.rint(abs(qty) * px * fee * 1e6) / 1e6)


@kernel
def _moved(px: float, qty: float, sign: float, reach: float, volume: float, slippage: float, places: float) -> float:
    """`px` after what taking `qty` does to it, rounded against the trader. `places` is ten to the price's decimal places."""
    bps = slippage + reach * np.sqrt(min(abs(qty), volume) / volume)
    scaled = px * (1.0 + sign * bps / 10_000.0) * places
    close_to = np.rint(scaled)
    if abs(scaled - close_to) >= _TINY:
        close_to = np.ceil(scaled) if sign > 0.0 else np.floor(scaled)
    return float(close_to / places) if close_to > 0.0 else px


@kernel
def _fill(books: Floats, c: int, closing_px: float, px: float, rate: float, fee: float, inverse: bool) -> float:
    """Brings the book to its target; the commission. A flip closes one trade and opens another: two orders."""
    pos, target = books[POS, c], books[TARGET, c]
    paid = 0.0
    if pos != 0.0:
        closing = _fee(pos, closing_px, fee)
        books[CASH, c] += pos * closing_px - closing
        profit = (books[TRADE, c] + pos * closing_px - closing) * (1.0 / closing_px if inverse else rate)
        books[TRADES, c] += 1.0
        books[WINS, c] += profit > 0.0
        books[GAINED, c] += max(profit, 0.0)
        books[LOST, c] -= min(profit, 0.0)
        paid += closing
    books[TRADE, c] = 0.0
    if target != 0.0:
        opening = _fee(target, px, fee)
        books[CASH, c] -= target * px + opening
        books[TRADE, c] = -(target * px + opening)
        paid += opening
    books[FEES, c] += paid * rate
    books[POS, c] = target
    return paid


@kernel
def _worse(mark: float, rate: float, start: float, books: Floats, c: int) -> None:
    equity = start + (books[CASH, c] + books[POS, c] * mark) * rate
    if equity < books[PEAK, c] * books[KEEP, c]:
        books[KEEP, c] = equity / books[PEAK, c]


@kernel
def _aim(
    books: Floats,
    c: int,
    direction: int,
    stop: float,
    close: float,
    mark: float,
    rate: float,
    start: float,
    step: float,
) -> None:
    """A new direction: what is at risk at the stop is the configuration's budget of the equity."""
    books[TARGET, c], books[STOP_LOW, c], books[STOP_HIGH, c] = 0.0, -np.inf, np.inf
    if direction == 0:
        return
    equity = start + (books[CASH, c] + books[POS, c] * mark) * rate
    qty = np.floor(equity * books[BUDGET, c] / (mark * rate * stop) / step * _GUARD) * step
    if qty <= 0.0:
        return
    books[TARGET, c] = direction * qty
    if direction > 0:
        books[STOP_LOW, c] = close * (1.0 - stop)
    else:
        books[STOP_HIGH, c] = close * (1.0 + stop)


@kernel
def _queue(books: Floats, c: int, pending: Ints, count: int) -> int:
    if books[QUEUED, c] != 0.0:
        return count
    books[QUEUED, c], pending[count] = 1.0, c
    return count + 1


# One loop, as a call that passes arrays costs more here than what it would do.
@kernel
def trade_block(  # noqa: C901, PLR0912, PLR0915
    prices: Floats,
    depth: Floats,
    rolls: Floats,
    marks: Flags,
    signal_at: Ints,
    closes: Floats,
    begin: int,
    end: int,
    first_bar: int,
    events: Ints,
    event_stops: Floats,
    order: Ints,
    first: Ints,
    terms: Floats,
    books: Floats,
    finished: Floats,
    pending: Ints,
    flags: Flags,
    samples: Floats,
    done: Ints,
    log: Floats,
) -> None:
    """Rows `begin` to `end`. `signal_at` is the bar of the signals' timeframe that closes on a row, -1 for none; the block's
    events begin with bar `first_bar`. `terms`: starting cash, commission as a fraction, quantity step, 1.0 where the price
    is the account's currency in the quote's, the row from which the quote currency has a rate, slippage (basis points) where there
    is depth, ten to the price's decimal places. `pending` lists books that are not at their target, `done` counts those, samples,
    logged fills and rolls. `flags` has a multiple of 8 places.
    """
    start, fee, step, inverse = terms[0], terms[1], terms[2], terms[3] == 1.0
    count = books.shape[1]
    own, words = flags[:count], flags.view(np.uint64)
    for r in range(begin, end):
        low, high, mark, rate = prices[LOW, r], prices[HIGH, r], prices[MARK, r], prices[RATE, r]
        if marks[r] & ROLLS:
            _accrue(rolls[done[3]], books)
            done[3] += 1
        if marks[r] & IS_BASE:
            for k in range(done[0]):
                c = pending[k]
                books[QUEUED, c] = 0.0
                moved = books[TARGET, c] - books[POS, c]
                if moved == 0.0:
                    continue
                sign = 1.0 if moved > 0.0 else -1.0
                px = prices[BUY, r] if moved > 0.0 else prices[SELL, r]
                closing_px = px
                if depth.shape[1] > 0 and depth[REACH, r] > 0.0:
                    reach, volume = depth[REACH, r], depth[VOLUME, r]
                    closing_px = _moved(px, books[POS, c], sign, reach, volume, terms[5], terms[6])
                    px = _moved(px, books[TARGET, c], sign, reach, volume, terms[5], terms[6])
                paid = _fill(books, c, closing_px, px, rate, fee, inverse)
                if done[2] < log.shape[0]:
                    log[done[2], LOG_ROW], log[done[2], LOG_CONFIG] = r, c
                    log[done[2], LOG_QTY], log[done[2], LOG_FEE] = moved, paid
                    log[done[2], LOG_CLOSED], log[done[2], LOG_OPENED] = closing_px, px
                    done[2] += 1
            done[0] = 0
            if marks[r] & BOOKS_ROLLS:
                _book_rolls(float(r), mark, rate, books)
            _look(low, high, mark, rate, start, books, own)
            for w in range(words.size):
                if words[w] == 0:
                    continue
                for c in range(8 * w, min(8 * w + 8, count)):
                    if own[c] == 0:
                        continue
                    _worse(mark, rate, start, books, c)
                    if low <= books[STOP_LOW, c] or high >= books[STOP_HIGH, c]:
                        books[TARGET, c], books[STOP_LOW, c], books[STOP_HIGH, c] = 0.0, -np.inf, np.inf
                        done[0] = _queue(books, c, pending, done[0])
        bar = signal_at[r]
        if bar >= 0 and r >= terms[4]:
            for k in range(first[bar - first_bar], first[bar - first_bar + 1]):
                event = order[k]
                c = events[event, CONFIG]
                had = books[TARGET, c]
                _aim(books, c, events[event, DIRECTION], event_stops[event], closes[bar], mark, rate, start, step)
                if books[TARGET, c] != had:
                    done[0] = _queue(books, c, pending, done[0])
        if marks[r] & ENDS_DAY:
            _end_day(mark, rate, start, 1.0 if marks[r] & IS_STRESS else 0.0, books)
        if marks[r] & IS_SAMPLE:
            _sample(mark, rate, start, books, samples[done[1]])
            done[1] += 1
        if marks[r] & ENDS_SPAN:
            _end_span(mark, rate, start, books, finished)
