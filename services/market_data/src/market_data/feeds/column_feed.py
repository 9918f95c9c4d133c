"""A feed whose rows are columns in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from common.errors import DataError
from common.model.instrument import Instrument
from common.model.time import Timeframe, iso
from market_data.feed import RawStep
from market_data.feeds.rows import Rows, merge, within
from market_data.instruments import Symbol, define, parse_symbol
from market_data.settings import Settings


class Series(NamedTuple):
    """The rows of one instrument, with what its master data follow from. `finest` is the smallest number that its prices were
    multiplied by.
    """

    symbol: Symbol
    venue: str
    timeframe: Timeframe
    rows: Rows
    close_only: bool = False
    finest: float = 1.0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to take of the data: what closes after `start_ns` and not after `end_ns`, and which symbols (empty: all)."""

    start_ns: int | None = None
    end_ns: int | None = None
    symbols: tuple[str, ...] = ()

    def __str__(self) -> str:
        start = iso(self.start_ns) if self.start_ns is not None else "its start"
        return f"between {start} and {iso(self.end_ns) if self.end_ns is not None else 'its end'}"


class ColumnFeed(msgspec.Struct, frozen=True):
    """A `Feed`. `rows` are in the order of the instruments."""

    instruments: tuple[Instrument, ...]
    base_timeframes: tuple[Timeframe, ...]
    notes: tuple[str, ...]
    rows: tuple[Rows, ...]

    def steps(self) -> Iterator[RawStep]:
        """Every step once, `ts_event` rising."""
        ids = (instrument.instrument_id for instrument in self.instruments)
        return merge(tuple(zip(ids, self.rows, strict=True)))


def choose(name: str, there: Sequence[str], asked: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The symbols of `there` that are `asked` for (none: all), and a note on each that is absent. Raises DataError for what
    is no symbol, and when none of them is there.
    """
    wanted = [_canonical(symbol) for symbol in asked]
    chosen = tuple(symbol for symbol in there if not wanted or symbol in wanted)
    if not chosen:
        raise DataError(f"{name}: has none of {', '.join(wanted)}; it has {', '.join(there)}")
    return chosen, tuple(f"{symbol} is not in {name}" for symbol in wanted if symbol not in there)


def assemble(
    name: str, series: Iterable[Series], request: Request, settings: Settings, notes: Iterable[str]
) -> ColumnFeed:
    """The feed of what lies in the span asked for. Raises DataError when that is nothing."""
    kept, said = [], list(notes)
    for one in series:
        rows = within(one.rows, request.start_ns, request.end_ns)
        if rows.ts.size:
            kept.append(one._replace(rows=rows))
        else:
            said.append(f"{one.symbol.name}: nothing {request}")
    if not kept:
        raise DataError(f"{name}: holds no prices {request}")
    instruments = tuple(
        define(
            one.symbol,
            one.venue,
            first_px=_first_px(one.rows),
            close_only=one.close_only,
            half_spreads=settings.half_spreads,
            finest=one.finest,
        )
        for one in kept
    )
    return ColumnFeed(instruments, tuple(one.timeframe for one in kept), tuple(said), tuple(one.rows for one in kept))


def _canonical(symbol: str) -> str:
    parsed = parse_symbol(symbol)
    if parsed is None:
        raise DataError(f"symbol {symbol!r}: expected a pair such as EUR-USD or a ticker such as AAPL")
    return parsed.name


def _first_px(rows: Rows) -> float:
    prices = rows.values["close" if "close" in rows.values else "ask"]
    usable = prices[np.isfinite(prices) & (prices > 0)]
    return float(usable[0]) if usable.size else float("nan")
