"""Prices with another future: as they were up to an instant, of another course after it (RES-01).

`altered:KIND:SEED:AFTER_NS:DATA` has the instruments and, up to AFTER_NS, the rows of DATA. What arrives later is

- `mirror`: turned over at the last price before: every rise is a fall of the same size, inside the bars too;
- `walk`: led away by a random walk of three times the usual moves, half of the bars turned around, other volumes and spreads;
- `cut`: not there. (An instrument of which nothing has arrived yet keeps its first row, so that it stays one.)

The same words give the same prices. What looks ahead cannot say the same up to AFTER_NS in all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from market_data.feeds.column_feed import ColumnFeed
from market_data.feeds.files import Floats
from market_data.feeds.rows import Rows, take

# Each price of a row, and what stands in its place when the row is turned over.
_OPPOSITE: Final = {"open": "open", "high": "low", "low": "high", "close": "close", "bid": "ask", "ask": "bid"}
_WILDNESS: Final = 3.0  # of the walk, in usual moves
_SIZES: Final = ("volume", "spread_open", "spread_close", "bid_size", "ask_size")


def alter(spec: str, kind: str, seed: int, after_ns: int, feed: ColumnFeed) -> ColumnFeed:
    """The feed with another future. Raises DataError for an unknown kind."""
    if kind not in KINDS:
        raise DataError(f"data {spec!r}: no such future; expected one of {', '.join(KINDS)}")
    rows = tuple(
        _altered(rows, kind, after_ns, np.random.Generator(np.random.PCG64([seed, number])))
        for number, rows in enumerate(feed.rows)
    )
    note = f"{spec}: what comes after is drawn, none of it was seen in a market"
    return msgspec.structs.replace(feed, rows=rows, notes=(*feed.notes, note))


def _altered(rows: Rows, kind: str, after_ns: int, rng: np.random.Generator) -> Rows:
    first = int(np.searchsorted(rows.arrival, after_ns, side="right"))
    if kind == "cut":
        return take(rows, np.arange(max(1, first)))
    later = _COURSES[kind](rows, first, rng)
    values = {name: np.concatenate([column[:first], later[name]]) for name, column in rows.values.items()}
    return Rows(rows.kind, rows.ts, rows.arrival, values, rows.problems)


def _mirror(rows: Rows, first: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Prices P become C²/P, C the last price before. A trade, which has no bid, is turned over at its own price."""
    at = _last_px(rows, first) ** 2
    later = {name: column[first:] for name, column in rows.values.items()}
    turned = dict(later)
    for name in later.keys() & _OPPOSITE.keys():
        opposite = later.get(_OPPOSITE[name], later[name])
        turned[name] = at / np.where(np.isfinite(opposite), opposite, later[name])
    if "bid" in later:
        turned["bid"] = np.where(np.isfinite(later["bid"]), turned["bid"], np.nan)
    return turned


def _walk(rows: Rows, first: int, rng: np.random.Generator) -> dict[str, Floats]:
    later = {name: column[first:].copy() for name, column in rows.values.items()}
    count = rows.ts.size - first
    factor = np.exp(np.cumsum(_WILDNESS * _usual_move(rows) * rng.standard_normal(count)))
    turned = rng.random(count) < 0.5
    if "open" in later and "close" in later:
        later["open"], later["close"] = _swapped(later["open"], later["close"], turned)
    for name in later.keys() & _OPPOSITE.keys():
        later[name] = later[name] * factor
    for name in _SIZES:  # in this order, since each draws
        if name in later:
            later[name] = later[name] * np.exp(rng.standard_normal(count))
    return later


def _swapped(one: Floats, other: Floats, where: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    return np.where(where, other, one), np.where(where, one, other)


def _px(rows: Rows) -> Floats:
    return rows.values["close" if "close" in rows.values else "ask"]


def _last_px(rows: Rows, first: int) -> float:
    """Of the last row before `first` that has one, else of the first that has one; 1 where none has."""
    usable = np.flatnonzero(np.isfinite(_px(rows)) & (_px(rows) > 0))
    if not usable.size:
        return 1.0
    before = usable[usable < first]
    return float(_px(rows)[before[-1] if before.size else usable[0]])


def _usual_move(rows: Rows) -> float:
    """Median absolute log return: a wild row does not count. At least a tenth of a basis point."""
    usable = _px(rows)[np.isfinite(_px(rows)) & (_px(rows) > 0)]
    moves = np.abs(np.diff(np.log(usable)))
    return max(1e-5, float(np.median(moves))) if moves.size else 1e-5


_COURSES: Final[dict[str, Callable[[Rows, int, np.random.Generator], dict[str, Floats]]]] = {
    "mirror": _mirror,
    "walk": _walk,
}
KINDS: Final = (*_COURSES, "cut")
