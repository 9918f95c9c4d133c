"""From the rows of one instrument to its bars of all timeframes: validated and built as `market_data` does, in bulk."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from common.messages.market_data import QuarantinedRow
from common.model.time import DayClose, Timeframe, period_close
from common.quant.kernel import Floats, Ints
from market_data.bars import Plan
from market_data.calendars import missing_in
from market_data.feed import RawBar
from market_data.feeds.files import NO_TIME
from market_data.feeds.rows import Rows
from market_data.state import Seen
from market_data.validation import MEAN_MOVE_ROWS, Rules, refuse
from research.fast.market_kernel import believe, build

COLUMNS: Final = ("open", "high", "low", "close", "volume", "spread_open", "spread_close")
Refused = dict[int, list[QuarantinedRow]]  # by the instant of arrival


class Timed(NamedTuple):
    """Bars by the instants at which they close."""

    ts: Ints
    values: Floats


def believed(instrument_id: str, rows: Rows, rules: Rules, refused: Refused) -> Timed:
    """The rows that validation lets pass; adds the others to `refused`, by the instant at which they arrive."""
    values = _values(rows)
    plain = np.ones(len(rows.ts), np.bool_)
    plain[list(rows.problems)] = False
    # Arrays from Arrow may be read-only, for which numba would compile once more.
    ts, arrival = np.array(rows.ts), np.array(rows.arrival)
    seen, last_ts, state = Seen(), np.zeros(1, np.int64), np.zeros(4)
    row = 0
    while (
        row := believe(row, ts, arrival, values, plain, 1.0 + rules.max_jump, MEAN_MOVE_ROWS, last_ts, state)
    ) < ts.size:
        seen.ts = int(last_ts[0])
        seen.close, seen.suspect, seen.mean_move, moves = state.tolist()
        seen.moves = int(moves)
        now = int(arrival[row])
        objection = refuse(_raw(instrument_id, rows, values, row), seen, max(0, now), rules)
        plain[row] = objection is None
        if objection is not None:
            refused.setdefault(now, []).append(objection)
        last_ts[0], state[:] = seen.ts, (seen.close, seen.suspect, seen.mean_move, seen.moves)
        row += 1
    return Timed(ts, values) if plain.all() else Timed(ts[plain], np.compress(plain, values, axis=1))


def _values(rows: Rows) -> Floats:
    """The rows' COLUMNS, filled in where the source has none or a blank."""
    values = np.empty((len(COLUMNS), len(rows.ts)))
    for of, name in zip(values, COLUMNS, strict=True):
        of[:] = rows.values.get(name, np.nan)
    volume = values[COLUMNS.index("volume")]
    volume[np.isnan(volume)] = 0.0
    return values


def _raw(instrument_id: str, rows: Rows, values: Floats, row: int) -> RawBar:
    ts = int(rows.ts[row])
    open_, high, low, close, volume, *spreads = values[:, row].tolist()
    opened, closed = (None if spread != spread else spread for spread in spreads)
    problem = rows.problems.get(row, "")
    return RawBar(instrument_id, 0 if ts == NO_TIME else ts, open_, high, low, close, volume, opened, closed, problem)


def coarser(of: Plan, base: Timed, end: int) -> list[Timed]:
    """The bars of each of the targets that end by `end`."""
    built: list[Timed] = []
    for i, target in enumerate(of.targets):
        finer = base if i in of.from_base else next(built[j] for j, fed in enumerate(of.feeds) if i in fed)
        ends = _period_closes(finer.ts, target, of.day_close)
        ends = ends[: np.searchsorted(ends, end, side="right")]
        periods = int(np.count_nonzero(np.diff(ends))) + bool(ends.size)
        timed = Timed(np.empty(periods, np.int64), np.empty((len(COLUMNS), periods)))
        build(ends, finer.values, *timed)
        built.append(timed)
    return built


def _period_closes(ts: Ints, timeframe: Timeframe, day_close: DayClose) -> Ints:
    """`period_close` of each of `ts`, which never fall."""
    if not ts.size:
        return ts
    first, last = (period_close(int(ts[i]), timeframe, day_close) for i in (0, -1))
    if timeframe in (Timeframe.D1, Timeframe.W1) and day_close is DayClose.NEW_YORK_17:
        closes = [first]
        while closes[-1] < last:
            closes.append(period_close(closes[-1] + 1, timeframe, day_close))
        ends = np.array(closes)
        return np.asarray(ends[np.searchsorted(ends, ts)])
    return np.asarray(first - (first - ts) // timeframe.ns * timeframe.ns)


def gaps(of: Plan, ts: Ints) -> int:
    """How many base bars are missing while the market was open."""
    return missing_in(of.calendar, ts, of.base_ns)
