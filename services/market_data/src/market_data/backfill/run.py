"""One backfill: what is missing of the span wanted, of each symbol, into files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from common.errors import ConfigError, DataError
from common.model.time import NS_PER_SECOND, Timeframe, iso
from common.runtime.environment import read_secret
from market_data.backfill.link import Link, LinkSettings
from market_data.backfill.spans import Span, ceiling, floor, missing, pages
from market_data.backfill.store import Store, file_of
from market_data.backfill.venue import Answer, Ask, Limit, Row, Venue
from market_data.instruments import parse_symbol

_AT_ONCE: Final = 4  # requests under way
_SAVE_S: Final = 20.0  # so much work may be lost to a kill
_DAYS: Final = frozenset({Timeframe.D1, Timeframe.W1})

Said = Callable[[float, str], None]  # share done, of what


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Bars that open from `start_ns` on and close by `end_ns`."""

    symbols: tuple[str, ...]
    timeframe: Timeframe
    start_ns: int
    end_ns: int


async def backfill(
    venue: Venue,
    wish: Wish,
    into: Path,
    *,
    clock: Callable[[], int],
    url: str = "",
    key_file: Path | None = None,
    limit: Limit | None = None,
    settings: LinkSettings | None = None,
    said: Said = lambda share, what: None,
) -> dict[str, Any]:
    """Fetches what the files in `into` do not have yet; bars that are not over, or not to be had, are left for later.

    Saves as it goes, and whatever ends it: the next call goes on from there. Raises ConfigError for what is asked wrongly, DataError
    when the venue refuses or does not answer.
    """
    symbols = _checked(venue, wish)
    now_ns = clock()
    span, notes = _span(venue, wish, now_ns)
    link = Link(
        venue.name,
        url or venue.url,
        headers=_headers(venue, key_file),
        limit=limit or venue.limit,
        settings=settings or LinkSettings(),
        clock=clock,
    )
    files = {}
    try:
        for place, symbol in enumerate(symbols):
            store = Store(file_of(into, venue.name, symbol, wish.timeframe), venue.columns)
            before = store.bars

            def told(share: float, symbol: str = symbol, place: int = place) -> None:
                said((place + share) / len(symbols), symbol)

            notes += await _fill(venue, link, store, symbol, wish.timeframe, span, told)
            files[symbol] = {"file": str(store.path), "bars": store.bars, "new": store.bars - before}
    finally:
        await link.close()
    return {
        "venue": venue.name,
        "timeframe": wish.timeframe.value,
        "start": iso(span.start),
        "end": iso(span.end),
        "files": files,
        "notes": notes,
        **link.summary(),
    }


def _checked(venue: Venue, wish: Wish) -> tuple[str, ...]:
    """The symbols as we spell them. Raises ConfigError."""
    if wish.timeframe not in venue.timeframes:
        there = ", ".join(venue.timeframes)
        raise ConfigError(f"timeframe {wish.timeframe.value}: {venue.name} has {there}")
    if wish.start_ns >= wish.end_ns:
        raise ConfigError(f"start {iso(wish.start_ns)} is not before end {iso(wish.end_ns)}")
    if not wish.symbols:
        raise ConfigError("symbols: expected at least one, such as BTC-USD or AAPL")
    found = []
    for symbol in wish.symbols:
        parsed = parse_symbol(symbol)
        if parsed is None:
            raise ConfigError(f"symbol {symbol!r}: expected a pair such as BTC-USD or a ticker such as AAPL")
        found.append(parsed.name)
    return tuple(dict.fromkeys(found))


def _span(venue: Venue, wish: Wish, now_ns: int) -> tuple[Span, list[str]]:
    """Whole bars that are over and to be had, and a note on what of the wish is not."""
    timeframe, notes = wish.timeframe, []
    over = _over(venue, timeframe, now_ns)
    start, end = ceiling(wish.start_ns, timeframe), floor(wish.end_ns, timeframe)
    if end > over:
        notes.append(f"ends at {iso(over)}: what comes after is not over yet")
        end = over
    first = over - venue.depth * timeframe.ns if venue.depth else start
    if start < first:
        notes.append(f"begins at {iso(first)}: {venue.name} gives only the last {venue.depth} bars")
        start = first
    if start >= end:
        raise DataError(f"{venue.name}: no whole bar to be had between {iso(wish.start_ns)} and {iso(wish.end_ns)}")
    return Span(start, end), notes


def _over(venue: Venue, timeframe: Timeframe, now_ns: int) -> int:
    """Bars up to there are over and final."""
    return floor(now_ns - venue.settle_ns - (venue.day_lag_ns if timeframe in _DAYS else 0), timeframe)


def _headers(venue: Venue, key_file: Path | None) -> dict[str, str]:
    if venue.headers is None:
        return {}
    if key_file is None:
        raise ConfigError(f"{venue.name}: answers only with a key; name its file with --key-file")
    return venue.headers(read_secret(key_file))


async def _fill(
    venue: Venue, link: Link, store: Store, symbol: str, timeframe: Timeframe, span: Span, told: Callable[[float], None]
) -> list[str]:
    """A few pages at a time; saved now and then, and at the end, whatever the end is. Returns what is to be said of it."""
    todo = [page for hole in missing(span, store.spans) for page in pages(hole, timeframe, venue.bars)]
    saved_at, over = time.monotonic(), span.end
    try:
        for first in range(0, len(todo), _AT_ONCE):
            asked = todo[first : first + _AT_ONCE]
            answers = await asyncio.gather(
                *(_page(venue, link, Ask(symbol, timeframe, page)) for page in asked), return_exceptions=True
            )
            if link.venue_ns is not None:  # the venue's word counts: our clock may be ahead
                over = min(over, _over(venue, timeframe, link.venue_ns + NS_PER_SECOND))
            for page, answer in zip(asked, answers, strict=True):
                if not isinstance(answer, BaseException):
                    store.add(Span(page.start, min(page.end, over)), answer)
            _raise_first(answers)
            told((first + len(asked)) / len(todo))
            if time.monotonic() - saved_at > _SAVE_S:
                store.save()
                saved_at = time.monotonic()
    finally:
        store.save()
    ahead = (
        f"{symbol} ends at {iso(over)}: by the clock of {venue.name} what comes after is not over yet; ours is ahead"
    )
    return [ahead] if over < span.end else []


def _raise_first(answers: Sequence[object]) -> None:
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer


async def _page(venue: Venue, link: Link, ask: Ask) -> list[tuple[int, Row]]:
    """All rows of a page, however many answers they come in."""
    rows: list[tuple[int, Row]] = []
    while True:
        path, query = venue.request(ask)

        def read(body: bytes, ask: Ask = ask) -> Answer:
            return venue.read(body, ask)

        answer = await link.get(ask.symbol, path, query, read)
        rows += answer.rows
        if not answer.page:
            return rows
        ask = msgspec.structs.replace(ask, page=answer.page)
