"""Which files of a directory make which instruments, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from common.errors import DataError
from common.model.enums import AssetClass
from common.model.time import Timeframe
from market_data.corporate_actions import COLUMNS as FACTOR_COLUMNS
from market_data.feeds import ecb, manifest
from market_data.feeds.column_feed import choose
from market_data.feeds.filenames import parse, stem
from market_data.feeds.files import column_names
from market_data.feeds.kinds import REQUIRED, Kind, classify, wanted
from market_data.instruments import Symbol, parse_symbol


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument in one file. A panel has many; `column` is theirs, None for a cross rate of the ECB's."""

    path: Path
    kind: Kind
    symbol: Symbol
    venue: str
    separate: bool  # not to be merged with other venues' files
    timeframe: Timeframe
    columns: tuple[str, ...]
    column: str | None = None
    adjusted: bool = False  # its prices know splits and dividends, or there are none

    @property
    def fineness(self) -> tuple[int, bool]:
        """Sorts finest first: ticks before the minute bars that are made of them."""
        return self.timeframe.ns, not self.kind.is_ticks


class Catalog(msgspec.Struct, frozen=True):
    """The sources of each instrument, in order of symbol and venue; `notes` say what was left out. `factors` are the tables of
    corporate actions that lie there.
    """

    instruments: tuple[tuple[Source, ...], ...]
    notes: tuple[str, ...]
    factors: tuple[Path, ...] = ()


def catalog(directory: Path, symbols: Sequence[str]) -> Catalog:
    """Reads names and headers only. Raises DataError when none of `symbols` (empty: no price at all) is there."""
    notes: list[str] = []
    entries = manifest.read(directory)
    files = _data_files(directory)
    factors = tuple(path for path in files if set(column_names(path)) >= FACTOR_COLUMNS)
    sources = [source for path in files if path not in factors for source in _sources(path, entries, notes)]
    if not sources:
        raise DataError(f"{directory}: holds no prices that can be replayed{_because(directory, notes)}")
    sources.sort(key=lambda source: (source.symbol.name, source.venue, source.path.name))
    chosen, absent = choose(str(directory), tuple(dict.fromkeys(source.symbol.name for source in sources)), symbols)
    notes.extend(absent)
    apart = {(source.symbol.name, source.venue) for source in sources if source.separate}
    groups: dict[tuple[str, str], list[Source]] = {}
    for source in (source for source in sources if source.symbol.name in chosen):
        market = (source.symbol.name, source.venue)
        groups.setdefault(market if market in apart else (source.symbol.name, ""), []).append(source)
    return Catalog(tuple(_finest(group, notes) for group in groups.values()), tuple(notes), factors)


def _data_files(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.is_file() and stem(path.name))
    except OSError as error:
        raise DataError(f"{directory}: cannot be read: {error.strerror}") from None


def _because(directory: Path, notes: Sequence[str]) -> str:
    if notes:
        return f": {'; '.join(notes)}"
    inside = sorted(path.name for path in directory.iterdir() if path.is_dir())
    return f"; its directories are {', '.join(inside)}" if inside else "; expected csv, csv.gz or parquet files"


def _sources(path: Path, entries: dict[str, manifest.Entry], notes: list[str]) -> Iterable[Source]:
    entry = entries.get(path.name, manifest.Entry())
    columns = column_names(path)
    kind = entry.kind or classify(columns)
    if not isinstance(kind, Kind):
        notes.append(f"{path.name} skipped: {kind}")
        return
    if absent := sorted(REQUIRED.get(kind, frozenset()) - set(columns)):
        raise DataError(f"{path}: {manifest.NAME} says it holds {kind.value}, but it has no column {', '.join(absent)}")
    named = parse(stem(path.name) or "")
    timeframe = entry.timeframe or named.timeframe
    if kind is Kind.PANEL:
        is_ecb = ecb.VENUE in {entry.venue, named.venue}
        yield from _panel(path, columns, ecb.VENUE if is_ecb else entry.venue, timeframe or Timeframe.D1, notes)
        return
    venue = entry.venue or named.venue
    symbol = _symbol(entry, named.symbol)
    timeframe = Timeframe.M1 if kind.is_ticks else timeframe
    if symbol is None or timeframe is None:
        missing = "symbol (such as EURUSD)" if symbol is None else "timeframe (such as H1 or 5m)"
        notes.append(f"{path.name} skipped: its name has no {missing}; {manifest.NAME} can give one")
        return
    yield Source(
        path=path,
        kind=kind,
        symbol=symbol,
        venue=venue or _default_venue(symbol),
        separate=named.venue_first and venue is not None,
        timeframe=timeframe,
        columns=wanted(kind, columns),
        adjusted=entry.adjusted or symbol.asset_class is not AssetClass.EQUITY,
    )


def _default_venue(symbol: Symbol) -> str:
    """For a file that does not say where its prices were made."""
    return "US" if symbol.asset_class is AssetClass.EQUITY else "LOCAL"


def _symbol(entry: manifest.Entry, named: Symbol | None) -> Symbol | None:
    symbol = parse_symbol(entry.symbol) if entry.symbol else named
    if symbol and entry.asset_class:
        return msgspec.structs.replace(symbol, asset_class=entry.asset_class)
    return symbol


def _panel(
    path: Path, columns: Sequence[str], venue: str | None, timeframe: Timeframe, notes: list[str]
) -> Iterable[Source]:
    names = wanted(Kind.PANEL, columns)
    found: list[tuple[Symbol | None, str | None]] = [(parse_symbol(name), name) for name in names]
    if venue == ecb.VENUE:
        found = [(symbol, None) for symbol in ecb.majors(names)]
    for symbol, column in found:
        if symbol is None:
            notes.append(f"{path.name}: column {column} skipped: it is no symbol")
            continue
        yield Source(
            path=path,
            kind=Kind.PANEL,
            symbol=symbol,
            venue=venue or _default_venue(symbol),
            separate=False,
            timeframe=timeframe,
            columns=names,
            column=column,
            adjusted=True,
        )


def _finest(group: Sequence[Source], notes: list[str]) -> tuple[Source, ...]:
    finest = min(source.fineness for source in group)
    coarser = [source for source in group if source.fineness != finest]
    notes.extend(f"{source.path.name} left out: finer data of {source.symbol.name} is at hand" for source in coarser)
    return tuple(source for source in group if source.fineness == finest)
