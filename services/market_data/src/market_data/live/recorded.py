"""A feed that plays recorded or made-up quotes as if they happened now, with the faults one asks for."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from common.errors import ConfigError
from common.model.time import NS_PER_SECOND, from_datetime
from market_data.live.connection import Clock, Connection, Disconnected, FeedEvent, QuoteSeen, TradeSeen
from market_data.live.faults import beating, inject, spans
from market_data.live.quotes import made_up, recorded
from market_data.live.settings import FeedSettings

POLL_S: Final = 0.005
AHEAD_NS: Final = 2_000_000  # what is due so soon is not worth a sleep
_replace = msgspec.structs.replace


def connect(feed: FeedSettings, clock: Clock, seed: int) -> Connection:
    """Raises ConfigError for settings that make no sense, DataError (when it begins) for a file that cannot be played."""
    return Recorded(feed, clock, seed)


class Recorded:
    """Data time runs as `clock` does, from the moment this is made: several feeds made together stay side by side."""

    def __init__(self, feed: FeedSettings, clock: Clock, seed: int) -> None:
        self.name = feed.name
        self._feed, self._clock, self._seed = feed, clock, seed
        self._start_ns = _instant(feed)
        self._began = clock()

    async def events(self) -> AsyncIterator[FeedEvent]:
        """Everything in its time; ends with the data."""
        shift: int | None = None
        for event in stream(self._feed, self._seed, self._start_ns):
            if shift is None:
                shift = self._began - (self._start_ns if self._start_ns is not None else event.ts_received)
            while (wait := event.ts_received + shift - self._clock()) > AHEAD_NS:  # noqa: ASYNC110 - a clock may be fast
                await asyncio.sleep(min(POLL_S, wait / NS_PER_SECOND))
            yield _now(event, shift, self._clock())
        yield Disconnected(ts_received=self._clock(), reason="the recording is over")

    async def close(self) -> None:
        """Holds nothing."""


def stream(feed: FeedSettings, seed: int, start_ns: int | None) -> Iterator[FeedEvent]:
    """What the feed says, faults and all, in data time."""
    quotes = heapq.merge(*(_quotes(feed, symbol, seed, start_ns) for symbol in feed.symbols), key=_arrival)
    events = beating(quotes, round(feed.heartbeat_s * NS_PER_SECOND))
    first = next(events)
    origin = first.ts_received if start_ns is None else start_ns
    yield from inject(_chain(first, events), spans(feed.faults, origin))


def _quotes(feed: FeedSettings, symbol: str, seed: int, start_ns: int | None) -> Iterator[QuoteSeen]:
    if feed.data:
        return recorded(Path(feed.data), symbol, start_ns)
    return made_up(feed.name, symbol, seed)


def _instant(feed: FeedSettings) -> int | None:
    if not feed.start:
        return None if feed.data else 0
    try:
        moment = datetime.fromisoformat(feed.start)
    except ValueError:
        raise ConfigError(
            f"market_data.feeds.{feed.name}.start = {feed.start!r}: expected a time such as 2014-05-07T12:00"
        ) from None
    return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _chain(first: FeedEvent, rest: Iterator[FeedEvent]) -> Iterator[FeedEvent]:
    yield first
    yield from rest


def _arrival(event: QuoteSeen) -> int:
    return event.ts_received


def _now(event: FeedEvent, shift: int, now: int) -> FeedEvent:
    """The event as it would arrive now; the venue's clock keeps its distance."""
    if isinstance(event, QuoteSeen | TradeSeen) and event.ts_venue:
        return _replace(event, ts_received=now, ts_venue=event.ts_venue + shift)
    return _replace(event, ts_received=now)
