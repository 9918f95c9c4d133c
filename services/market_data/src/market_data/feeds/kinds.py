"""What a file holds, told by its columns, and how its columns become rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import numpy as np

from common.model.time import NS_PER_MINUTE, Timeframe
from market_data.feed import RawBar, RawTick
from market_data.feeds.files import NO_TIME, TIMESTAMP, Columns, Floats
from market_data.feeds.rows import Rows, arrivals, take

OHLC: Final = ("open", "high", "low", "close")
BID: Final = tuple(f"bid_{name}" for name in OHLC)
ASK: Final = tuple(f"ask_{name}" for name in OHLC)


class Kind(StrEnum):
    JOINED = "trade+quote"  # bars of trades and of quotes side by side, either may be empty
    TWO_SIDED = "two-sided"
    BARS = "bars"
    QUOTES = "quotes"
    TRADES = "trades"
    PANEL = "panel"  # a column of closes for each instrument

    @property
    def is_ticks(self) -> bool:
        return self in {Kind.QUOTES, Kind.TRADES}

    @property
    def rank(self) -> int:
        """Whose rows are taken where several files cover a time: two-sided, then one-sided, then close-only."""
        return {Kind.BARS: 1, Kind.TRADES: 1, Kind.PANEL: 2}.get(self, 0)


# Columns that a kind must have; the first that fits is it.
REQUIRED: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.JOINED: frozenset({*OHLC, *BID, *ASK}),
    Kind.TWO_SIDED: frozenset({*BID, *ASK}),
    Kind.BARS: frozenset(OHLC),
    Kind.QUOTES: frozenset({"bid", "ask"}),
    Kind.TRADES: frozenset({"price"}),
}
_OPTIONS: Final = {"strike", "expiry"}
_OPTIONAL: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.QUOTES: ("bid_size", "ask_size"),
    Kind.TRADES: ("size", "amount", "volume"),
}


def classify(names: Sequence[str]) -> Kind | str:
    """The kind of a file with these columns, or why it is none that can be replayed."""
    if TIMESTAMP not in names:
        return "it has no column 'timestamp'"
    if _OPTIONS & set(names):
        return "option chains are not replayed"
    for kind, required in REQUIRED.items():
        if required <= set(names):
            return kind
    if len(names) > 1 and all(name.isascii() and name[0].isalpha() and name == name.upper() for name in names[1:]):
        return Kind.PANEL
    return f"no prices in its columns {', '.join(names)}"


def wanted(kind: Kind, names: Sequence[str]) -> tuple[str, ...]:
    """The columns worth reading."""
    if kind is Kind.PANEL:
        return tuple(name for name in names if name != TIMESTAMP)
    return tuple(name for name in names if name in REQUIRED[kind] or name in _OPTIONAL.get(kind, ("volume",)))


def bars(kind: Kind, columns: Columns, timeframe: Timeframe) -> Rows:
    """Rows of bars. Files say when a bar opens; from here on its time is its close."""
    with np.errstate(invalid="ignore"):
        values = _BARS[kind](columns.values)
    ts = np.where(columns.ts == NO_TIME, NO_TIME, columns.ts + timeframe.ns)
    return Rows(RawBar, ts, arrivals(ts, repeats=False), values, columns.problems)


def ticks(kind: Kind, columns: Columns) -> Rows:
    """Rows of ticks, which arrive when the minute ends in which they were made."""
    found = columns.values
    if kind is Kind.QUOTES:
        values = {name: column for name, column in found.items() if name in RawTick.__struct_fields__}
    else:
        traded = [found[name] for name in ("size", "amount", "volume") if name in found]
        values = {"ask": found["price"]} | ({"volume": traded[0]} if traded else {})
    minute = -(-arrivals(columns.ts, repeats=True) // NS_PER_MINUTE) * NS_PER_MINUTE
    return Rows(RawTick, columns.ts, minute, values, columns.problems)


def closes(columns: Columns, close: Floats, timeframe: Timeframe) -> Rows:
    """Rows of bars that are nothing but a close; an empty cell is no row."""
    rows = bars(Kind.BARS, Columns(columns.ts, dict.fromkeys(OHLC, close), columns.problems), timeframe)
    there = np.isfinite(close)
    there[list(columns.problems)] = True
    return rows if there.all() else take(rows, np.flatnonzero(there))


def _traded(found: Mapping[str, Floats]) -> dict[str, Floats]:
    return {name: found[name] for name in (*OHLC, "volume") if name in found}


def _quoted(found: Mapping[str, Floats]) -> dict[str, Floats]:
    mids = {name: (found[f"bid_{name}"] + found[f"ask_{name}"]) / 2 for name in OHLC}
    spreads = {f"spread_{name}": found[f"ask_{name}"] - found[f"bid_{name}"] for name in ("open", "close")}
    return mids | spreads | ({"volume": found["volume"]} if "volume" in found else {})


def _joined(found: Mapping[str, Floats]) -> dict[str, Floats]:
    """Quotes where there are any, else trades, which then have no spread."""
    values = _quoted(found)
    quoted = np.isfinite(np.sum([values[name] for name in OHLC], axis=0))
    return values | {name: np.where(quoted, values[name], found[name]) for name in OHLC}


_BARS: Final[Mapping[Kind, Callable[[Mapping[str, Floats]], dict[str, Floats]]]] = {
    Kind.JOINED: _joined,
    Kind.TWO_SIDED: _quoted,
    Kind.BARS: _traded,
}
