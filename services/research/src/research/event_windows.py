"""What bars did around instants: before and after each of them, and less what they did at the same time of other days."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.model.time import NS_PER_DAY
from common.quant.kernel import Floats, Ints
from research.fast.market_bars import COLUMNS, Timed

DAYS_AROUND: Final = 20  # other days are looked for so far to either side
LEAST_DAYS: Final = 5
_STILL: Final = 1e-16  # below that a sum of squares is what rounding leaves of nothing


class Phase(StrEnum):
    BEFORE = "before"
    AFTER = "after"


class Measure(StrEnum):
    VOLATILITY = "volatility"
    SPREAD = "spread"
    DRIFT = "drift"


class Span(NamedTuple):
    """Bars looked at on either side of an instant."""

    before: int
    after: int
    base_ns: int

    @property
    def reach(self) -> tuple[int, int]:
        """Nanoseconds to either side in which no stronger event may lie."""
        return self.before * self.base_ns, self.after * self.base_ns


class Sums(NamedTuple):
    """Running sums over the bars of one instrument, zero first: of log returns, squared true ranges, log spreads, and of what is not
    there.
    """

    ts: Ints
    returns: Floats
    squares: Floats
    spreads: Floats
    holes: Ints
    unquoted: Ints


def sums(bars: Timed, base_ns: int) -> Sums:
    """A return over a hole, and the first, is none; a bar without a spread above zero has no quote."""
    high, low, close, spread = (bars.values[COLUMNS.index(name)] for name in ("high", "low", "close", "spread_close"))
    before = np.concatenate([[np.nan], close[:-1]])
    ranges = np.log(np.fmax(high, before) / np.fmin(low, before))
    moves = np.log(close / before)
    hole = np.diff(bars.ts, prepend=0) != base_ns
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.log(spread / close)
    unquoted = ~np.isfinite(width)
    moves, ranges, width = np.where(hole, 0.0, moves), np.where(hole, 0.0, ranges), np.where(unquoted, 0.0, width)
    total = [np.concatenate([[0], np.cumsum(column)]) for column in (moves, ranges**2, width, hole, unquoted)]
    return Sums(bars.ts, *total)


def windows(of: Sums, times: Ints, span: Span) -> dict[tuple[Phase, Measure], Floats]:
    """Every measure around each of `times`: volatility and spread as logarithms; NaN where a bar is missing, or nothing moved."""
    middle = np.searchsorted(of.ts, times, side="right")  # the bar that holds the instant, or begins with it
    first, last = middle - span.before, middle + span.after
    there = (first >= 0) & (last <= of.ts.size) & (middle > 0)
    first, middle, last = (np.where(there, place, 1) for place in (first, middle, last))
    next_, prior = of.ts[np.minimum(middle, of.ts.size - 1)], of.ts[middle - 1]
    there &= (next_ - times <= span.base_ns) & (times - prior < span.base_ns)
    found: dict[tuple[Phase, Measure], Floats] = {}
    for phase, begin, end, bars in (
        (Phase.BEFORE, first, middle, span.before),
        (Phase.AFTER, middle, last, span.after),
    ):
        whole = there & (of.holes[end] == of.holes[begin])
        quoted = whole & (of.unquoted[end] == of.unquoted[begin])
        squares = (of.squares[end] - of.squares[begin]) / bars
        with np.errstate(divide="ignore", invalid="ignore"):
            volatility = np.where(squares > _STILL, 0.5 * np.log(squares), np.nan)
        found[phase, Measure.VOLATILITY] = np.where(whole, volatility, np.nan)
        found[phase, Measure.SPREAD] = np.where(quoted, (of.spreads[end] - of.spreads[begin]) / bars, np.nan)
        found[phase, Measure.DRIFT] = np.where(whole, of.returns[end] - of.returns[begin], np.nan)
    return found


def against_other_days(of: Sums, times: Ints, events: Ints, span: Span) -> dict[tuple[Phase, Measure], Floats]:
    """Of each of `times` the measures less their mean over the days around, without those near any of `events`; NaN where fewer than
    `LEAST_DAYS` are left.
    """
    offsets = np.array([day for day in range(-DAYS_AROUND, DAYS_AROUND + 1) if day], dtype=np.int64) * NS_PER_DAY
    others = (times[:, None] + offsets).ravel()
    quiet = ~near(others, events, span)
    here, there = windows(of, times, span), windows(of, others, span)
    found = {}
    for key, values in here.items():
        table = np.where(quiet, there[key], np.nan).reshape(times.size, offsets.size)
        days = np.isfinite(table).sum(axis=1)
        mean = np.where(np.isfinite(table), table, 0.0).sum(axis=1) / np.maximum(days, 1)
        found[key] = np.where(days >= LEAST_DAYS, values - mean, np.nan)
    return found


def near(times: Ints, events: Ints, span: Span) -> NDArray[np.bool_]:
    """Whether any of `events` (rising) lies in the window around each of `times`."""
    before, after = span.reach
    return np.searchsorted(events, times + after) > np.searchsorted(events, times - before)
