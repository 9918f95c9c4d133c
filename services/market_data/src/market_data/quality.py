"""How good recorded prices are, by instrument and UTC day (MKT-09): what is missing, what was refused and why, what stands still.

The rows go through the very core of the service: what is refused here is what a run refuses.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.messages.base import Message
from common.messages.market_data import MarketSlice, QuarantinedRow, QuarantineReason, RowsQuarantined
from common.model.instrument import Instrument
from common.model.sessions import Calendar
from common.model.time import NS_PER_DAY, NS_PER_SECOND, Timeframe
from market_data.calendars import calendar_of, in_session, missing_by_day
from market_data.core import MarketData
from market_data.feeds import open_feed
from market_data.feeds.catalog import catalog
from market_data.feeds.column_feed import ColumnFeed
from market_data.grades import GRADES, grade
from market_data.latency import Lags, Latency, lags_of
from market_data.settings import Settings

Ints = NDArray[np.int64]
EXAMPLES_KEPT: Final = 3  # refused rows shown of each reason
GAPS_KEPT: Final = 5


class Counts(msgspec.Struct, kw_only=True):
    """Of a day or of all days. Bars are base bars; of ticks those made of them.

    `expected` are the bars of open markets between the first and the last, None where no calendar says; `missing` those of them
    that are not there, in `gaps` stretches, the longest of `longest_gap_s` seconds of open market. `outside` are bars of closed
    markets. `stale` bars lie in runs that did not move at all. `refused` counts rows by reason.
    """

    rows: int = 0
    bars: int = 0
    expected: int | None = None
    missing: int = 0
    gaps: int = 0
    longest_gap_s: float = 0.0
    outside: int = 0
    stale: int = 0
    refused: dict[QuarantineReason, int] = msgspec.field(default_factory=dict)
    latency: Latency | None = None

    @property
    def completeness(self) -> float | None:
        """Share of the expected bars that are there; None where none was expected, or no calendar says."""
        return None if not self.expected else 1.0 - self.missing / self.expected

    @property
    def refused_share(self) -> float:
        return sum(self.refused.values()) / self.rows if self.rows else 0.0

    @property
    def stale_share(self) -> float:
        return self.stale / self.bars if self.bars else 0.0

    @property
    def grade(self) -> str:
        return grade(self.completeness, self.refused_share, self.stale_share)

    @property
    def rank(self) -> tuple[int, float, float]:
        """Sorts the worst first."""
        return -GRADES.index(self.grade), 1.0 if self.completeness is None else self.completeness, -self.refused_share


class Gap(NamedTuple):
    """Bars that are missing between the closes of two that are there."""

    missing: int
    before_ns: int
    after_ns: int


class Quality(msgspec.Struct, kw_only=True):
    """Of one instrument. `days` are by number since 1970, rising: those with rows, and those of open markets without any. `longest`
    are the largest gaps, `examples` a few refused rows of each reason.
    """

    instrument_id: str
    timeframe: Timeframe
    calendar: Calendar | None
    first_ns: int
    last_ns: int
    total: Counts
    days: dict[int, Counts]
    longest: list[Gap]
    examples: list[QuarantinedRow]
    directory: str = ""

    @property
    def absent_days(self) -> int:
        """Days of open markets without any row."""
        return sum(not of.rows for of in self.days.values())

    def worst(self, count: int) -> list[int]:
        """The days with rows of the worst grades; among equals those that lack most, then those of which most was refused."""
        return sorted((day for day, of in self.days.items() if of.rows), key=lambda day: self.days[day].rank)[:count]


def symbols_in(directory: Path, asked: Sequence[str] = ()) -> tuple[str, ...]:
    """The symbols of a directory, of those `asked` for (none: all). Raises DataError when there is none."""
    groups = catalog(directory, asked).instruments
    return tuple(dict.fromkeys(sources[0].symbol.name for sources in groups))


def examine(
    directory: Path,
    settings: Settings,
    symbol: str,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    stale_bars: int,
) -> Iterator[Quality]:
    """Every instrument of `symbol` in a directory of data files. A run of at least `stale_bars` bars without any move is stale.

    Raises DataError as `open_feed` does.
    """
    feed = open_feed(str(directory), settings=settings, start_ns=start_ns, end_ns=end_ns, symbols=(symbol,))
    lags = lags_of(directory, symbol, start_ns, end_ns)
    for found in judge(feed, settings, lags, stale_bars=stale_bars):
        found.directory = str(directory)
        yield found


def judge(
    feed: ColumnFeed, settings: Settings, lags: Mapping[str, Lags] | None = None, *, stale_bars: int
) -> Iterator[Quality]:
    """As `examine`, of the instruments of a feed; `lags` by instrument."""
    logs = {instrument.instrument_id: _Log() for instrument in feed.instruments}
    core = MarketData(msgspec.structs.replace(settings, timeframes=()), feed.instruments, feed.base_timeframes)
    for step in feed.steps():
        day = (step.ts_event - 1) // NS_PER_DAY
        for row in step.rows:
            rows = logs[row.instrument_id].rows
            rows[day] = rows.get(day, 0) + 1
        for message in core.handle_step(step):
            _note(logs, message, day)
    for instrument, base in zip(feed.instruments, feed.base_timeframes, strict=True):
        log, of = logs[instrument.instrument_id], (lags or {}).get(instrument.instrument_id)
        yield _quality(instrument, base, log, of, stale_bars)


class _Log(msgspec.Struct):
    """What was seen of one instrument: rows by day, refusals, and the columns of its base bars."""

    rows: dict[int, int] = msgspec.field(default_factory=dict)
    refused: dict[int, dict[QuarantineReason, int]] = msgspec.field(default_factory=dict)
    examples: list[QuarantinedRow] = msgspec.field(default_factory=list)
    ts: array[int] = msgspec.field(default_factory=lambda: array("q"))
    high: array[float] = msgspec.field(default_factory=lambda: array("d"))
    low: array[float] = msgspec.field(default_factory=lambda: array("d"))
    close: array[float] = msgspec.field(default_factory=lambda: array("d"))


def _note(logs: Mapping[str, _Log], message: Message, day: int) -> None:
    if isinstance(message, MarketSlice):
        for bar in message.bars:
            log = logs[bar.instrument_id]
            log.ts.append(message.ts_event)
            log.high.append(bar.high)
            log.low.append(bar.low)
            log.close.append(bar.close)
    elif isinstance(message, RowsQuarantined):
        for row in message.rows:
            log = logs[row.instrument_id]
            counts = log.refused.setdefault(day, {})
            counts[row.reason] = counts.get(row.reason, 0) + 1
            if sum(example.reason is row.reason for example in log.examples) < EXAMPLES_KEPT:
                log.examples.append(row)


def _quality(instrument: Instrument, base: Timeframe, log: _Log, lags: Lags | None, stale_bars: int) -> Quality:
    calendar, ts = calendar_of(instrument, base), np.array(log.ts, dtype=np.int64)
    days = {day: Counts(rows=rows, refused=log.refused.get(day, {})) for day, rows in log.rows.items()}
    _enter_bars(days, calendar, ts, base.ns, stale_in(log.high, log.low, log.close, stale_bars))
    gaps = sorted(_enter_gaps(days, calendar, ts, base.ns), key=lambda gap: (-gap.missing, gap.before_ns))
    total = _total(days.values(), len(gaps), gaps[0].missing * base.ns / NS_PER_SECOND if gaps else 0.0)
    if lags is not None:
        total.latency = lags.latency()
        for day, latency in lags.by_day():
            days.setdefault(day, Counts()).latency = latency
    first, last = (int(ts[0]), int(ts[-1])) if ts.size else (0, 0)
    return Quality(
        instrument_id=instrument.instrument_id,
        timeframe=base,
        calendar=calendar,
        first_ns=first,
        last_ns=last,
        total=total,
        days=dict(sorted(days.items())),
        longest=gaps[:GAPS_KEPT],
        examples=log.examples,
    )


def stale_in(high: Sequence[float], low: Sequence[float], close: Sequence[float], least: int) -> NDArray[np.bool_]:
    """The bars that lie in a run of at least `least` of which none leaves the close before it."""
    highs, lows, closes = (np.asarray(column, dtype=np.float64) for column in (high, low, close))
    still = np.zeros(closes.size, dtype=bool)
    still[1:] = (highs[1:] == lows[1:]) & (closes[1:] == closes[:-1]) & (highs[1:] == closes[1:])
    edges = np.diff(np.concatenate([[0], still.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        if end - begin < least:
            still[begin:end] = False
    return still


def _enter_bars(
    days: dict[int, Counts], calendar: Calendar | None, ts: Ints, base_ns: int, stale: NDArray[np.bool_]
) -> None:
    if not ts.size:  # every row was refused
        return
    open_ = in_session(calendar, ts, base_ns)
    of_day, first = np.unique((ts - 1) // NS_PER_DAY, return_index=True)
    for day, begin, end in zip(of_day.tolist(), first.tolist(), [*first[1:].tolist(), ts.size], strict=True):
        of = days.setdefault(day, Counts())
        inside = int(np.count_nonzero(open_[begin:end]))
        of.bars, of.outside, of.stale = end - begin, end - begin - inside, int(np.count_nonzero(stale[begin:end]))
        of.expected = None if calendar is None else inside


def _enter_gaps(days: dict[int, Counts], calendar: Calendar | None, ts: Ints, base_ns: int) -> Iterator[Gap]:
    """Every gap; it counts in each day that it touches, as far as it lies there."""
    holes = np.flatnonzero(np.diff(ts) > base_ns) if calendar is not None else ()
    for hole in holes:
        before, after = ts[hole : hole + 2].tolist()
        whole = 0
        for day, count in missing_by_day(calendar, before, after, base_ns):
            of = days.setdefault(day, Counts())
            of.expected = (of.expected or 0) + count
            of.missing += count
            of.gaps += 1
            of.longest_gap_s = max(of.longest_gap_s, count * base_ns / NS_PER_SECOND)
            whole += count
        if whole:
            yield Gap(whole, before, after)


def _total(days: Iterable[Counts], gaps: int, longest_gap_s: float) -> Counts:
    total = Counts(gaps=gaps, longest_gap_s=longest_gap_s)
    for of in days:
        for name in ("rows", "bars", "missing", "outside", "stale"):
            setattr(total, name, getattr(total, name) + getattr(of, name))
        if of.expected is not None:
            total.expected = (total.expected or 0) + of.expected
        for reason, count in of.refused.items():
            total.refused[reason] = total.refused.get(reason, 0) + count
    return total
