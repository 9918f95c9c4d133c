"""Recorded data: a directory of csv and parquet files, one row of a file one row of the feed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from common.errors import DataError
from market_data import corporate_actions
from market_data.corporate_actions import Factors
from market_data.feeds import ecb
from market_data.feeds.catalog import Catalog, Source, catalog
from market_data.feeds.column_feed import ColumnFeed, Request, Series, assemble
from market_data.feeds.files import Columns, read_columns
from market_data.feeds.kinds import Kind, bars, closes, ticks
from market_data.feeds.rows import Rows, one_sided, pieces, quoted, splice, within
from market_data.settings import Settings

Read = Callable[[Path, tuple[str, ...]], Columns]


def open_directory(directory: Path, request: Request, settings: Settings) -> ColumnFeed:
    """Raises DataError for an unreadable file, for a directory without prices, and when nothing asked for is there.

    Several files of one symbol become one instrument: rows come from two-sided files first, then one-sided, then
    close-only ones, the longer before the shorter, each filling only what the ones before do not span. Where some of what
    is taken has quotes and some has none, the instrument is one-sided throughout: half a spread is better than to trade on
    quotes that have ended.
    """
    found = catalog(directory, request.symbols)
    notes, factors = list(found.notes), _factors(found, settings)
    read = lru_cache(maxsize=2)(read_columns)  # a panel serves many instruments
    series = (_series(directory, sources, read, request, notes, factors, settings) for sources in found.instruments)
    # The notes are complete only when the series have been read.
    return assemble(str(directory), list(series), request, settings, notes)


def _factors(found: Catalog, settings: Settings) -> Mapping[str, Factors]:
    """The table that the settings name, else the one beside the data."""
    if settings.corporate_actions:
        return corporate_actions.read(Path(settings.corporate_actions))
    if len(found.factors) > 1:
        raise DataError(f"{' and '.join(map(str, found.factors))}: expected one table of corporate actions")
    return corporate_actions.read(found.factors[0]) if found.factors else {}


def _series(
    directory: Path,
    sources: Sequence[Source],
    read: Read,
    request: Request,
    notes: list[str],
    factors: Mapping[str, Factors],
    settings: Settings,
) -> Series:
    parts = [(source, _rows(source, read(source.path, source.columns))) for source in sources]
    parts = [(source, rows) for source, rows in parts if rows.ts.size]
    if not parts:
        raise DataError(f"{directory}: no price at all for {sources[0].symbol.name}")
    actions = factors.get(sources[0].symbol.name)
    end_ns = max(int(rows.arrival[-1]) for _, rows in parts)
    if actions is not None and not all(source.adjusted for source, _ in parts):
        parts = [(source, _adjusted(source, rows, end_ns, actions, notes)) for source, rows in parts]
    else:
        actions = None
    parts.sort(key=lambda part: (part[0].kind.rank, int(part[1].arrival[0] - part[1].arrival[-1])))
    best = parts[0][0]
    notes.extend(f"{best.symbol.name}: {source.path.name} fills what lies outside" for source, _ in parts[1:])
    taken = [within(rows, request.start_ns, request.end_ns) for rows in pieces([rows for _, rows in parts])]
    rows = splice(_alike(best.symbol.name, [rows for rows in taken if rows.ts.size] or taken[:1], notes))
    finest = 1.0
    if actions is not None:
        finest = corporate_actions.finest(rows, end_ns, actions)
        rows = corporate_actions.with_spreads(rows, end_ns, actions, settings.half_spreads.get(best.symbol.name))
    return Series(best.symbol, best.venue, best.timeframe, rows, best.kind is Kind.PANEL, finest)


def _adjusted(source: Source, rows: Rows, end_ns: int, factors: Factors, notes: list[str]) -> Rows:
    """Raw prices, adjusted to the shares of `end_ns`."""
    if source.adjusted:
        return rows
    notes.append(f"{source.path.name}: adjusted for splits and dividends")
    return corporate_actions.adjust(source.path.name, rows, end_ns, factors)


def _alike(name: str, taken: Sequence[Rows], notes: list[str]) -> Sequence[Rows]:
    """The pieces with quotes in all of them or in none."""
    has = [quoted(rows) for rows in taken]
    if all(has) or not any(has):
        return taken
    notes.append(f"{name}: one-sided throughout, at mid prices: some of its files have quotes and others have none")
    return [one_sided(rows) if two_sided else rows for rows, two_sided in zip(taken, has, strict=True)]


def _rows(source: Source, columns: Columns) -> Rows:
    if source.kind is Kind.PANEL:
        close = columns.values[source.column] if source.column else ecb.cross_rate(source.symbol, columns.values)
        return closes(columns, close, source.timeframe)
    if source.kind.is_ticks:
        return ticks(source.kind, columns)
    return bars(source.kind, columns, source.timeframe)
