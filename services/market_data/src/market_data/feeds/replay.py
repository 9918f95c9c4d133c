"""Recorded data: a directory of csv and parquet files, one row of a file one row of the feed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from common.errors import DataError
from market_data.feeds import ecb
from market_data.feeds.catalog import Source, catalog
from market_data.feeds.column_feed import ColumnFeed, Request, Series, assemble
from market_data.feeds.files import Columns, read_columns
from market_data.feeds.kinds import Kind, bars, closes, ticks
from market_data.feeds.rows import Rows, splice
from market_data.settings import Settings

Read = Callable[[Path, tuple[str, ...]], Columns]


def open_directory(directory: Path, request: Request, settings: Settings) -> ColumnFeed:
    """Raises DataError for an unreadable file, for a directory without prices, and when nothing asked for is there.

    Several files of one symbol become one instrument: rows come from two-sided files first, then one-sided, then
    close-only ones, the longer before the shorter, each filling only what the ones before do not span.
    """
    found = catalog(directory, request.symbols)
    notes = list(found.notes)
    read = lru_cache(maxsize=2)(read_columns)  # a panel serves many instruments
    series = (_series(directory, sources, read, notes) for sources in found.instruments)
    # The notes are complete only when the series have been read.
    return assemble(str(directory), list(series), request, settings, notes)


def _series(directory: Path, sources: Sequence[Source], read: Read, notes: list[str]) -> Series:
    parts = [(source, _rows(source, read(source.path, source.columns))) for source in sources]
    parts = [(source, rows) for source, rows in parts if rows.ts.size]
    if not parts:
        raise DataError(f"{directory}: no price at all for {sources[0].symbol.name}")
    parts.sort(key=lambda part: (part[0].kind.rank, int(part[1].arrival[0] - part[1].arrival[-1])))
    best = parts[0][0]
    notes.extend(f"{best.symbol.name}: {source.path.name} fills what lies outside" for source, _ in parts[1:])
    rows = splice([rows for _, rows in parts])
    return Series(best.symbol, best.venue, best.timeframe, rows, close_only=best.kind is Kind.PANEL)


def _rows(source: Source, columns: Columns) -> Rows:
    if source.kind is Kind.PANEL:
        close = columns.values[source.column] if source.column else ecb.cross_rate(source.symbol, columns.values)
        return closes(columns, close, source.timeframe)
    if source.kind.is_ticks:
        return ticks(source.kind, columns)
    return bars(source.kind, columns, source.timeframe)
