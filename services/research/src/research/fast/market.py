"""All that market data says in a run, as arrays: what is traded when, before anybody has an opinion on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.messages.base import Message
from common.messages.market_data import Bar, EventsScheduled, MarketDataEnded, MarketSlice, RowsQuarantined
from common.model.instrument import Instrument
from common.model.time import Timeframe
from common.quant.kernel import Floats, Ints
from market_data.bars import Plan, plan
from market_data.calendars import calendar_of
from market_data.events import Schedule, day_of
from market_data.feed import RawBar
from market_data.feeds.column_feed import ColumnFeed
from market_data.source import FeedSource, source
from market_data.validation import Rules
from research.fast.market_bars import Refused, Timed, believed, coarser, gaps
from research.fast.market_kernel import count, enter, places, spread_out


class Bars(NamedTuple):
    """The bars of one instrument and timeframe, oldest first.

    `step` is the index of the slice in which each closes (`Market.ts[step]` is its close), int64 and rising. `values` is
    float64 of shape (7, bars), C order; its rows are the columns that follow. Spreads are NaN where the source has no quotes,
    nothing else is ever NaN.
    """

    step: Ints
    values: Floats
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    spread_open: Floats
    spread_close: Floats

    @classmethod
    def of(cls, step: Ints, values: Floats) -> Self:
        """Bars whose columns are views of `values`."""
        return cls(step, values, *values)

    def rows(self, first: int, stop: int) -> slice:
        """The bars that close in the slices from index `first` to before `stop`."""
        start, end = np.searchsorted(self.step, (first, stop)).tolist()
        return slice(start, end)


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """What market data says from `RunStarted` to `MarketDataEnded`. Slices are known by their index, which is one less than
    their `step`. Nothing in here is to be changed.

    `ts`: int64, shape (slices,), rising. `base[i]`: the base bars of instrument i. `coarse[i, timeframe]`: the bars that
    are built of them, one entry for every timeframe built, though it may be empty; base bars of a coarse timeframe (a daily
    feed) are in `base` alone.

    `close`, `high`, `low`: float64, shape (slices, instruments), C order, of base bars. `close` is the last one by then, NaN
    before the first; `high` and `low` are NaN where the instrument has no base bar in the slice.

    `quarantined[index]` is what is said just before slice `index` and after the one before it; the key `len(ts)` stands for
    what is said after the last slice. `scheduled[index]` is the economic calendar said in front of slice `index`, the first of its
    UTC day; empty without one. `notes` are those of the feed.
    """

    book: str
    said_first: tuple[Message, ...]
    instruments: tuple[Instrument, ...]
    base_timeframes: tuple[Timeframe, ...]
    notes: tuple[str, ...]
    ts: Ints
    base: tuple[Bars, ...]
    coarse: dict[tuple[int, Timeframe], Bars]
    close: Floats
    high: Floats
    low: Floats
    quarantined: dict[int, tuple[RowsQuarantined, ...]]
    scheduled: dict[int, EventsScheduled]
    ended: MarketDataEnded
    contents: Contents

    def __len__(self) -> int:
        """How many slices there are."""
        return len(self.ts)

    def opening(self) -> tuple[Message, ...]:
        """The run and its instruments: what is said before the first slice."""
        return self.said_first

    def slice(self, index: int) -> MarketSlice:
        """The very message that market data says."""
        return MarketSlice(
            ts_event=int(self.ts[index]), book=self.book, step=index + 1, bars=tuple(self.contents.bars(index))
        )

    def at(self, index: int) -> Iterator[Message]:
        """The slice, behind the calendar where there is one."""
        if index in self.scheduled:
            yield self.scheduled[index]
        yield self.slice(index)

    def bars_between(self, first: int, stop: int) -> int:
        """How many base bars close in the slices from index `first` to before `stop`."""
        return sum(of.stop - of.start for of in (bars.rows(first, stop) for bars in self.base))

    def messages(self) -> Iterator[Message]:
        """Everything in the order of the tape, as the plain source says it."""
        yield from self.said_first
        for index in range(len(self.ts)):
            yield from self.quarantined.get(index, ())
            yield from self.at(index)
        yield from self.quarantined.get(len(self.ts), ())
        yield self.ended


class Series(NamedTuple):
    """Bars with what all of them have in common."""

    instrument_id: str
    timeframe: Timeframe
    is_base: bool
    bars: Bars


class Contents(NamedTuple):
    """Which bars stand in which slice: of slice i those from `first[i]` to before `first[i + 1]`, each by the number of its
    series and its row in there, in the order of the message.
    """

    series: tuple[Series, ...]
    first: Ints
    number: NDArray[np.int16]
    row: NDArray[np.int32]

    def bars(self, index: int) -> Iterator[Bar]:
        """The bars of slice `index`, as they are said."""
        first, stop = self.first[index : index + 2].tolist()
        for number, row in zip(self.number[first:stop].tolist(), self.row[first:stop].tolist(), strict=True):
            instrument_id, timeframe, is_base, bars = self.series[number]
            open_, high, low, close, volume, opened, closed = bars.values[:, row].tolist()
            yield Bar(
                instrument_id=instrument_id,
                timeframe=timeframe,
                open=open_,
                high=high,
                low=low,
                close=close,
                volume=volume,
                spread_open=None if opened != opened else opened,
                spread_close=None if closed != closed else closed,
                base=is_base,
            )


def load_market(config: Mapping[str, Any]) -> Market | None:
    """The market that `config` names in sections `[market_data]`, `[account]` and `[run]`. None for a feed of ticks, of
    which only the plain core makes bars. Raises ConfigError and DataError.
    """
    return market_of(source(config))


def market_of(plain: FeedSource) -> Market | None:
    """All that `plain` would say from its beginning; None for a feed of ticks. `plain` itself says nothing here."""
    feed = plain.feed
    if not isinstance(feed, ColumnFeed) or any(rows.kind is not RawBar for rows in feed.rows):
        return None
    return _market(plain, feed)


def _market(plain: FeedSource, feed: ColumnFeed) -> Market:
    settings, refused = plain.settings, Refused()
    end = max(0, *(int(rows.arrival[-1]) for rows in feed.rows))
    plans = [
        plan(one.instrument_id, base, settings.timeframes, settings.day_close, calendar_of(one, base))
        for one, base in zip(feed.instruments, feed.base_timeframes, strict=True)
    ]
    rules = Rules(settings.max_jump, settings.jump_moves)
    base = [believed(of.instrument_id, rows, rules, refused) for of, rows in zip(plans, feed.rows, strict=True)]
    chains = [(timed, *coarser(of, timed, end)) for of, timed in zip(plans, base, strict=True)]
    ts = _instants([timed.ts for chain in chains for timed in chain])
    series = tuple(_series(ts, plans, chains))
    base_bars = tuple(one.bars for one in series if one.is_base)
    close, high, low = _tables(len(ts), base_bars)
    number = {of.instrument_id: i for i, of in enumerate(plans)}
    return Market(
        book=settings.book,
        said_first=tuple(plain.opening()),
        instruments=feed.instruments,
        base_timeframes=feed.base_timeframes,
        notes=feed.notes,
        ts=ts,
        base=base_bars,
        coarse={(number[one.instrument_id], one.timeframe): one.bars for one in series if not one.is_base},
        close=close,
        high=high,
        low=low,
        quarantined=_quarantined(settings.book, ts, refused),
        scheduled=_scheduled(plain.schedule, ts),
        ended=MarketDataEnded(
            ts_event=end,
            book=settings.book,
            steps=len(ts),
            bars=sum(len(timed.ts) for timed in base),
            quarantined=sum(map(len, refused.values())),
            gaps=sum(gaps(of, timed.ts) for of, timed in zip(plans, base, strict=True)),
        ),
        contents=_contents(len(ts), series),
    )


def _series(ts: Ints, plans: Sequence[Plan], chains: Sequence[Sequence[Timed]]) -> Iterator[Series]:
    """In the order in which the bars stand in a slice."""
    for of, chain in zip(plans, chains, strict=True):
        for timeframe, timed in zip((of.base, *of.targets), chain, strict=True):
            bars = Bars.of(places(ts, timed.ts), timed.values)
            yield Series(of.instrument_id, timeframe, timed is chain[0], bars)


def _instants(times: Sequence[Ints]) -> Ints:
    """Every instant once, rising."""
    every = np.sort(np.concatenate(times), kind="stable")  # stable: fast on what consists of rising runs
    return every[np.concatenate([[True], np.diff(every) > 0])] if every.size else every


def _tables(slices: int, base: Sequence[Bars]) -> tuple[Floats, Floats, Floats]:
    close, high, low = (np.empty((slices, len(base))) for _ in range(3))
    for i, bars in enumerate(base):
        spread_out(bars.step, bars.values, i, close, high, low)
    return close, high, low


def _contents(slices: int, series: tuple[Series, ...]) -> Contents:
    first = np.zeros(slices + 1, np.int64)
    for one in series:
        count(one.bars.step, first)
    np.cumsum(first, out=first)
    number, row = np.empty(first[-1], np.int16), np.empty(first[-1], np.int32)
    free = first.copy()
    for i, one in enumerate(series):
        enter(one.bars.step, i, free, number, row)
    return Contents(series, first, number, row)


def _scheduled(schedule: Schedule | None, ts: Ints) -> dict[int, EventsScheduled]:
    """In front of the first slice of every UTC day, as `Schedule.beside` says it."""
    if schedule is None:
        return {}
    starts = np.flatnonzero(np.diff(day_of(ts), prepend=-1))
    return {index: schedule.at(int(ts[index]), first=index == 0) for index in starts.tolist()}


def _quarantined(book: str, ts: Ints, refused: Refused) -> dict[int, tuple[RowsQuarantined, ...]]:
    said: dict[int, tuple[RowsQuarantined, ...]] = {}
    for arrival in sorted(refused):
        index = int(np.searchsorted(ts, arrival))
        message = RowsQuarantined(ts_event=arrival, book=book, rows=tuple(refused[arrival]))
        said[index] = (*said.get(index, ()), message)
    return said
