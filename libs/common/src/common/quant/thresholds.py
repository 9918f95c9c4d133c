"""Thresholds that widen with volatility, and why they changed when (SIG-06).

Plain Python, so that a page may use it; `common.quant.adaptive` compiles the same `multiplier` and walks the same hours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

HOURS: Final = 24  # of market time that the average true range is taken over
DAYS: Final = 30  # of market time, 24 hours each, in which it is ranked


class Hour(NamedTuple):
    """An hour in which the instrument had bars: true ranges as fractions of the close before, summed, and their number."""

    end_ns: int
    travelled: float
    bars: int


class Change(NamedTuple):
    """A multiplier from `ts` on. `atr` is the mean true range as a fraction of the price, `percentile` its rank in [0, 1]."""

    ts: int
    multiplier: float
    before: float | None
    atr: float
    percentile: float
    reason: str


def multiplier(percentile: float, least: float, most: float) -> float:
    """By what a threshold is multiplied: `least` in the calmest market, 1 at the median, `most` in the wildest.

    Rises with `percentile`, in [0, 1], in two straight lines, and never leaves [least, most]; 0 < least <= 1 <= most. NaN for NaN.
    """
    if percentile != percentile:
        return percentile
    if percentile <= 0.5:
        return max(least, min(1.0, least + (1.0 - least) * 2.0 * percentile))
    return min(most, max(1.0, 1.0 + (most - 1.0) * (2.0 * percentile - 1.0)))


def rank(values: Iterable[float], value: float) -> float:
    """Share of the other ones that lie below `value`, which is one of them; equal ones count half."""
    below, equal, count = 0, -1, -1
    for other in values:
        count += 1
        below += other < value
        equal += other == value
    return (below + 0.5 * equal) / count


def changes(
    hours: Iterable[Hour],
    *,
    least: float,
    most: float,
    last: int,
    of_hours: int = HOURS,
    of_days: int = DAYS,
) -> tuple[Change, ...]:
    """The `last` changes of the multiplier, oldest first, from the hours of an instrument, oldest first and without the one
    that still runs. The first one comes when `of_hours` and then `of_days` are full.
    """
    spans, bars = [0.0] * of_hours, [0.0] * of_hours
    past: deque[float] = deque(maxlen=24 * of_days)
    found: deque[Change] = deque(maxlen=last)
    for number, hour in enumerate(hours):
        spans[number % of_hours], bars[number % of_hours] = hour.travelled, float(hour.bars)
        if number + 1 < of_hours:
            continue
        atr = sum(spans) / sum(bars)
        past.append(atr)
        if len(past) == 24 * of_days:
            percentile = rank(past, atr)
            before = found[-1].multiplier if found else None
            now = multiplier(percentile, least, most)
            if now != before:
                why = explain(percentile, now, of_hours=of_hours, of_days=of_days)
                found.append(Change(hour.end_ns, now, before, atr, percentile, why))
    return tuple(found)


def explain(percentile: float, now: float, *, of_hours: int = HOURS, of_days: int = DAYS) -> str:
    """The reason of a multiplier, in words."""
    return f"{of_hours} h ATR at percentile {100.0 * percentile:.0f} of {of_days} days: thresholds x {now:.3g}"
