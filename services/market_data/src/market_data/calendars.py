"""Which bars are missing (MKT-07): those that a market which was open would have had. Nights, weekends and holidays are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.sessions import Calendar, sessions
from common.model.time import NS_PER_DAY, Timeframe

CALENDARS: Final = {
    AssetClass.FX: Calendar.FX_WEEK,
    AssetClass.CRYPTO: Calendar.ALWAYS,
    AssetClass.EQUITY: Calendar.US_EQUITIES,
}


def calendar_of(instrument: Instrument, base: Timeframe) -> Calendar | None:
    """None for daily and weekly bars of currencies: they are fixings, or have days of their own on Sundays and holidays."""
    if instrument.asset_class is AssetClass.FX and base.ns >= Timeframe.D1.ns:
        return None
    return CALENDARS[instrument.asset_class]


def missing(calendar: Calendar | None, before: int, ts: int, base_ns: int) -> int:
    """Base bars that should have closed between that of `before` and that of `ts`: those of which any part lies in a session."""
    if calendar is None:
        return 0
    if calendar is Calendar.ALWAYS:
        return max(-(-(ts - before) // base_ns) - 1, 0)
    count, least = 0, -(-(ts - before) // base_ns)
    for one in sessions(calendar, before, ts):  # bar j closes at ts - j · base; later sessions have smaller j
        first = max(1, (ts - one.closes) // base_ns)
        last = min(-(-(ts - max(before, one.opens)) // base_ns), least) - 1
        if last >= first:
            count += last - first + 1
            least = first
    return count


def missing_in(calendar: Calendar | None, ts: NDArray[np.int64], base_ns: int) -> int:
    """All that are missing between bars that close at `ts`, which rises: the sum of `missing` over its steps."""
    if calendar is None or ts.size < 2:
        return 0
    before, after = ts[:-1], ts[1:]
    holes = after - before > base_ns
    before, after = before[holes], after[holes]
    if calendar is Calendar.ALWAYS:
        return int(np.sum(-(-(after - before) // base_ns) - 1))
    hours = np.array(list(sessions(calendar, int(ts[0]), int(ts[-1]))), dtype=np.int64).reshape(-1, 2)
    place = np.searchsorted(hours[:, 0], before, side="right") - 1
    within = (place >= 0) & (after <= hours[np.maximum(place, 0), 1]) if len(hours) else np.zeros(before.size, bool)
    inside = int(np.sum(-(-(after - before)[within] // base_ns) - 1))
    beyond = zip(before[~within].tolist(), after[~within].tolist(), strict=True)
    return inside + sum(missing(calendar, start, end, base_ns) for start, end in beyond)


def missing_by_day(calendar: Calendar | None, before: int, ts: int, base_ns: int) -> Iterator[tuple[int, int]]:
    """As `missing`, by the number of the UTC day in which each bar closes (one at midnight closes a day); days that miss none are
    left out.
    """
    last, cursor = (ts - 1) // NS_PER_DAY, before
    for day in range(before // NS_PER_DAY, last + 1):
        end = min((day + 1) * NS_PER_DAY, ts - base_ns)
        grid = ts - -(-(ts - end) // base_ns) * base_ns  # the last close of the day, counted back from `ts`
        if grid <= cursor:
            continue
        if count := missing(calendar, cursor, grid + base_ns, base_ns):
            yield day, count
        cursor = grid


def in_session(calendar: Calendar | None, ts: NDArray[np.int64], base_ns: int) -> NDArray[np.bool_]:
    """Of bars that close at `ts`, which rises: whether any part of each lies in a session. All do where no calendar says."""
    if calendar is None or calendar is Calendar.ALWAYS or not ts.size:
        return np.ones(ts.size, dtype=bool)
    hours = np.array(list(sessions(calendar, int(ts[0]) - base_ns, int(ts[-1]))), dtype=np.int64).reshape(-1, 2)
    place = np.searchsorted(hours[:, 0], ts) - 1
    return np.asarray((place >= 0) & (hours[np.maximum(place, 0), 1] > ts - base_ns)) if len(hours) else place >= 0
