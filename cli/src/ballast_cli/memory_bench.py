"""`ballast bench memory`: what the cores hold in memory over a long replay, and whether that grows.

One process runs every core over the data, message by message as live, keeping nothing of what they say. Once in 30 days of data
the process' resident memory is read, and every core's state is written as its snapshot would be: what is bounded stays level,
what leaks rises in a straight line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from common.core import Core
from common.lockstep import Lockstep
from common.messages.market_data import MarketSlice
from common.model.time import NS_PER_DAY, to_datetime
from common.runtime import snapshots
from common.runtime.supervisor.memory import resident
from market_data.source import source
from research.backtest import Operator, answer, cores

EVERY_DAYS: Final = 30
LIMIT_MB: Final = 500
MB: Final = 1e6


class Look(NamedTuple):
    """The process and the cores at one time of the data."""

    ts_event: int
    resident: int
    states: dict[str, int]


def memory(config: Mapping[str, Any]) -> dict[str, Any]:
    """Megabytes by time of the data: resident, and the state of each core as its snapshot. `prices_mb` is what the recorded prices
    take, which a live system does not hold. `growth_mb_per_year` is the slope of the resident memory over the second half of the
    replay, when windows are full; None with fewer than four looks.
    """
    before = resident()
    feed, of = source(config), cores(config)
    loaded = resident()
    operator, looks, due, slices = Operator(1), list[Look](), 0, 0
    for message in Lockstep(of, answer).run(operator.beside(feed.messages())):
        operator.see(message)
        if not isinstance(message, MarketSlice):
            continue
        slices += 1
        if message.ts_event >= due:
            looks.append(_look(message.ts_event, of))
            due = message.ts_event + EVERY_DAYS * NS_PER_DAY
    peak = max((look.resident for look in looks), default=loaded)
    without_prices = peak - (loaded - before)
    return {
        "instruments": len(feed.feed.instruments),
        "slices": slices,
        "imports_mb": round(before / MB, 1),
        "prices_mb": round((loaded - before) / MB, 1),
        "peak_mb": round(peak / MB, 1),
        "peak_without_prices_mb": round(without_prices / MB, 1),
        "limit_mb": LIMIT_MB,
        "within_limit": without_prices / MB < LIMIT_MB,
        "growth_mb_per_year": _slope(looks[len(looks) // 2 :]),
        "looks": [
            {
                "date": to_datetime(look.ts_event).date().isoformat(),
                "resident_mb": round(look.resident / MB, 1),
                "states_mb": {name: round(size / MB, 3) for name, size in look.states.items()},
            }
            for look in looks
        ],
    }


def _look(ts_event: int, of: Mapping[str, Core]) -> Look:
    return Look(ts_event, resident(), {name: len(snapshots.encode(core, 0, "")) for name, core in of.items()})


def _slope(looks: list[Look]) -> float | None:
    """Megabytes a year, by least squares."""
    if len(looks) < 2:
        return None
    import numpy as np

    years = np.array([look.ts_event for look in looks], np.float64) / (365.25 * NS_PER_DAY)
    return round(float(np.polyfit(years - years[0], [look.resident / MB for look in looks], 1)[0]), 2)
