"""Rows of one instrument as columns: found in the order of the file, handed on in the order of time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from market_data.feed import RawBar, RawRow, RawStep, RawTick
from market_data.feeds.files import NO_TIME, Floats, Instants

CHUNK: Final = 4096  # rows of an instrument that are Python objects at one time
# Fields that may be blank, and what a blank means.
_BLANK: Final = {"volume": 0.0, "spread_open": None, "spread_close": None, "bid_size": 0.0, "ask_size": 0.0}


class Rows(msgspec.Struct):
    """`ts` is each row's own time, `arrival` (never falling) the step it arrives in: the same, but for misplaced rows.

    `values` are the fields of `kind` that the source has. `problems` say, by row number, what could not be read.
    """

    kind: type[RawBar | RawTick]
    ts: Instants
    arrival: Instants
    values: dict[str, Floats]
    problems: dict[int, str] = msgspec.field(default_factory=dict)


def arrivals(ts: Instants, *, repeats: bool) -> Instants:
    """When the rows of a file arrive. Rows that rise (where a time `repeats`: do not fall) arrive at their own time; the
    fewest rows that must go for that are misplaced and arrive with the row before them, where validation finds them.
    """
    gaps = np.diff(ts)
    if ts[0] != NO_TIME and bool((gaps >= 0).all() if repeats else (gaps > 0).all()):
        return ts
    kept = _longest_rise(ts.tolist(), repeats=repeats)
    arrival = np.full(ts.size, NO_TIME)
    arrival[kept] = ts[kept]
    arrival[: kept[0]] = ts[kept[0]]
    return np.maximum.accumulate(arrival)


def take(rows: Rows, chosen: NDArray[np.intp]) -> Rows:
    """The rows with these numbers, in this order."""
    problems = rows.problems
    if problems:
        problems = {new: problems[old] for new, old in enumerate(chosen.tolist()) if old in problems}
    values = {name: column[chosen] for name, column in rows.values.items()}
    return Rows(rows.kind, rows.ts[chosen], rows.arrival[chosen], values, problems)


def pieces(parts: Sequence[Rows]) -> list[Rows]:
    """What is taken of each part, all of the same kind: only what lies outside the time spans of those before. A part of
    which nothing is taken is left out.
    """
    chosen: list[Rows] = []
    for part in parts:
        free = np.ones(part.ts.size, dtype=bool)
        for other in chosen:
            free &= (part.arrival < other.arrival[0]) | (part.arrival > other.arrival[-1])
        if free.any():
            chosen.append(part if free.all() else take(part, np.flatnonzero(free)))
    return chosen


def splice(chosen: Sequence[Rows]) -> Rows:
    """One series out of pieces, in the order of arrival."""
    if len(chosen) == 1:
        return chosen[0]
    joined = _concatenate(sorted(chosen, key=lambda piece: int(piece.arrival[0])))
    if (np.diff(joined.arrival) >= 0).all():  # as a rule pieces follow one another, and nothing need be moved
        return joined
    return take(joined, np.argsort(joined.arrival, kind="stable"))


def quoted(rows: Rows) -> bool:
    """Whether any row has a bid and an ask."""
    return any(bool(np.isfinite(rows.values[name]).any()) for name in ("bid", "spread_close") if name in rows.values)


def one_sided(rows: Rows) -> Rows:
    """The rows at their mid prices, without quotes. What could not have been a quote (ask below bid, a bid of zero) is
    refused all the same: a bar keeps its negative spread, a tick gets no price.
    """
    values = dict(rows.values)
    with np.errstate(invalid="ignore"):
        if rows.kind is RawTick:
            bid, ask = values.pop("bid"), values["ask"]
            values["ask"] = np.where((bid > 0) & (bid <= ask), (bid + ask) / 2, np.nan)
        else:
            opened, closed = (values.pop(name) for name in ("spread_open", "spread_close"))
            crossed = (opened < 0) | (closed < 0)
            if crossed.any():
                blank = np.where(crossed, 0.0, np.nan)
                values |= {"spread_open": opened + blank, "spread_close": closed + blank}
    return Rows(rows.kind, rows.ts, rows.arrival, values, rows.problems)


def within(rows: Rows, start_ns: int | None, end_ns: int | None) -> Rows:
    """The rows that arrive after `start_ns` and not after `end_ns`: a bar belongs to the span in which it closes."""
    first = 0 if start_ns is None else int(np.searchsorted(rows.arrival, start_ns, side="right"))
    last = rows.ts.size if end_ns is None else int(np.searchsorted(rows.arrival, end_ns, side="right"))
    return take(rows, np.arange(first, max(first, last))) if last - first < rows.ts.size else rows


def merge(series: Sequence[tuple[str, Rows]]) -> Iterator[RawStep]:
    """All rows in steps, in time order and within a step in the order of `series`. Holds few rows beside the columns."""
    cursors = [0] * len(series)
    while any(cursor < rows.ts.size for cursor, (_, rows) in zip(cursors, series, strict=True)):
        horizon = min(
            int(rows.arrival[min(cursor + CHUNK, rows.ts.size) - 1])
            for cursor, (_, rows) in zip(cursors, series, strict=True)
            if cursor < rows.ts.size
        )
        arrived: list[Instants] = []
        found: list[RawRow] = []
        for i, (instrument_id, rows) in enumerate(series):
            stop = int(np.searchsorted(rows.arrival, horizon, side="right"))
            arrived.append(rows.arrival[cursors[i] : stop])
            found.extend(_objects(instrument_id, rows, cursors[i], stop))
            cursors[i] = stop
        yield from _steps(np.concatenate(arrived), found)


def _concatenate(parts: Sequence[Rows]) -> Rows:
    names = dict.fromkeys(name for part in parts for name in part.values)
    values = {
        name: np.concatenate([part.values.get(name, np.full(part.ts.size, np.nan)) for part in parts]) for name in names
    }
    problems: dict[int, str] = {}
    offset = 0
    for part in parts:
        problems |= {offset + row: problem for row, problem in part.problems.items()}
        offset += part.ts.size
    ts, arrival = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ts", "arrival"))
    return Rows(parts[0].kind, ts, arrival, values, problems)


def _steps(arrival: Instants, found: list[RawRow]) -> Iterator[RawStep]:
    order = np.argsort(arrival, kind="stable")
    arrival = arrival[order]
    rows = [found[i] for i in order.tolist()]
    starts = [0, *(np.flatnonzero(np.diff(arrival)) + 1).tolist()]
    for ts, start, stop in zip(arrival[starts].tolist(), starts, [*starts[1:], len(rows)], strict=True):
        yield RawStep(ts, tuple(rows[start:stop]))


def _objects(instrument_id: str, rows: Rows, start: int, stop: int) -> Iterator[RawRow]:
    fields = [_field(rows, name, start, stop) for name in rows.kind.__struct_fields__[2:-1]]
    problems = [rows.problems.get(i, "") for i in range(start, stop)] if rows.problems else repeat("")
    ts = rows.ts[start:stop]
    return map(rows.kind, repeat(instrument_id), np.where(ts == NO_TIME, 0, ts).tolist(), *fields, problems)


def _field(rows: Rows, name: str, start: int, stop: int) -> Iterable[float | None]:
    blank = _BLANK.get(name)
    if name not in rows.values:
        return repeat(blank)
    cells: list[float] = rows.values[name][start:stop].tolist()
    return [blank if cell != cell else cell for cell in cells] if name in _BLANK else cells


def _longest_rise(ts: Sequence[int], *, repeats: bool) -> list[int]:
    """Numbers of the rows in a longest rising subsequence, by patience sorting; of equal times the first is kept."""
    place = bisect_right if repeats else bisect_left
    tails: list[int] = []  # the smallest last time of a rise of each length
    ends: list[int] = []  # the row it belongs to
    before = [-1] * len(ts)
    for row, time in enumerate(ts):
        length = place(tails, time)
        if time == NO_TIME or (length < len(tails) and tails[length] == time):
            continue
        before[row] = ends[length - 1] if length else -1
        tails[length : length + 1], ends[length : length + 1] = [time], [row]
    rise, row = [], ends[-1]
    while row >= 0:
        rise.append(row)
        row = before[row]
    return rise[::-1]
