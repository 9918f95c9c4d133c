"""Coarser bars out of finer ones, each closed exactly once (MKT-04)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from common.messages.market_data import Bar
from common.model.sessions import Calendar
from common.model.time import DayClose, Timeframe, period_close
from market_data.feed import RawBar
from market_data.state import NEVER, Partial

Prices = Bar | RawBar | Partial
_DAILY = (Timeframe.D1, Timeframe.W1)


class Plan(msgspec.Struct, frozen=True):
    """How the bars of one instrument are made of one another.

    `targets` are built, finest first. Base bars go into the targets `from_base`, those of target i into `feeds[i]`: a
    chain wherever periods nest, so that a minute costs one addition and not seven. `calendar` says which bars are missing.
    """

    instrument_id: str
    base: Timeframe
    base_ns: int
    targets: tuple[Timeframe, ...]
    from_base: tuple[int, ...]
    feeds: tuple[tuple[int, ...], ...]
    day_close: DayClose
    calendar: Calendar | None = None


def plan(
    instrument_id: str,
    base: Timeframe,
    timeframes: Sequence[Timeframe],
    day_close: DayClose,
    calendar: Calendar | None = None,
) -> Plan:
    """The targets are those of `timeframes` coarser than `base`. Daily base bars keep their own (UTC) weeks."""
    day_close = DayClose.UTC if base in _DAILY else day_close
    targets = tuple(timeframe for timeframe in Timeframe if timeframe in timeframes and timeframe.ns > base.ns)
    sources = [
        next((j for j in range(i - 1, -1, -1) if _nests(targets[j], target, day_close)), -1)
        for i, target in enumerate(targets)
    ]
    fed = [tuple(i for i, source in enumerate(sources) if source == j) for j in range(-1, len(targets))]
    return Plan(instrument_id, base, base.ns, targets, fed[0], tuple(fed[1:]), day_close, calendar)


def absorb(into: Plan, partials: list[Partial], indexes: tuple[int, ...], bar: Prices, ts: int) -> int:
    """Adds a bar that closed at `ts` to the partials named. Returns the earliest end among them, NEVER for none."""
    earliest = NEVER
    for index in indexes:
        partial = partials[index]
        if not partial.close_ns:
            partial.close_ns = period_close(ts, into.targets[index], into.day_close)
            begin(partial, bar)
        else:
            extend(partial, bar)
        earliest = min(earliest, partial.close_ns)
    return earliest


def close_due(of: Plan, partials: list[Partial], ts: int) -> list[Bar]:
    """The bars that end at `ts`, finest first; their partials are empty afterwards."""
    ended = []
    for index, partial in enumerate(partials):
        if partial.close_ns == ts:
            bar = closed(partial, of.instrument_id, of.targets[index], base=False)
            partial.close_ns = 0
            absorb(of, partials, of.feeds[index], bar, ts)
            ended.append(bar)
    return ended


def begin(partial: Partial, bar: Prices) -> Partial:
    """`partial` as the first bar of a period leaves it."""
    partial.open, partial.high, partial.low, partial.close = bar.open, bar.high, bar.low, bar.close
    partial.volume = bar.volume
    partial.spread_open, partial.spread_close = bar.spread_open, bar.spread_close
    return partial


def extend(partial: Partial, bar: Prices) -> None:
    """One more bar of a period that has begun."""
    partial.high = max(partial.high, bar.high)
    partial.low = min(partial.low, bar.low)
    partial.close = bar.close
    partial.volume += bar.volume
    partial.spread_close = bar.spread_close


def closed(prices: Prices, instrument_id: str, timeframe: Timeframe, *, base: bool) -> Bar:
    """The bar as it is said on the tape."""
    return Bar(
        instrument_id=instrument_id,
        timeframe=timeframe,
        open=prices.open,
        high=prices.high,
        low=prices.low,
        close=prices.close,
        volume=prices.volume,
        spread_open=prices.spread_open,
        spread_close=prices.spread_close,
        base=base,
    )


def _nests(fine: Timeframe, coarse: Timeframe, day_close: DayClose) -> bool:
    """Whether every period of `coarse` is made of whole periods of `fine`. 17:00 in New York is a whole UTC hour."""
    if day_close is DayClose.NEW_YORK_17 and coarse in _DAILY:
        return fine is Timeframe.D1 or fine.ns <= Timeframe.H1.ns
    return coarse.ns % fine.ns == 0
