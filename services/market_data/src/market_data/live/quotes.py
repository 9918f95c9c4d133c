"""Quotes to play: recorded ones of a file, or made-up ones. As events in data time, without faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.model.time import NS_PER_SECOND
from market_data.feeds.files import NO_TIME, Instants, column_names, read_columns
from market_data.live.connection import QuoteSeen

Floats = NDArray[np.float64]

CHUNK_S: Final = 600
GRID_NS: Final = 50_000_000  # of the market that all made-up feeds of a symbol look at
LATENCY_NS: Final = 20_000_000
_STEP: Final = 2e-6  # of a grid step, relative: some 4 basis points in ten minutes
_NOISE: Final = 1e-6  # of one feed's mid
_HALF_SPREAD: Final = 2e-5
_QUOTES_S: Final = 4.0


def recorded(path: Path, symbol: str, start_ns: int | None) -> Iterator[QuoteSeen]:
    """Of a file with timestamp, bid, ask: from `start_ns` on, in data time. Raises DataError where it has none of that."""
    names = column_names(path) if path.is_file() else ()
    if not {"bid", "ask"} <= set(names):
        raise DataError(f"{path}: expected a file of quotes, with the columns timestamp, bid and ask")
    columns = read_columns(path, ("bid", "ask"))
    first = 0 if start_ns is None else int(np.searchsorted(columns.ts, start_ns))
    there = np.arange(first, columns.ts.size)
    there = there[columns.ts[first:] != NO_TIME]
    if not there.size:
        raise DataError(f"{path}: no quote after the start that is asked for")
    return _events(symbol, columns.ts[there], columns.values["bid"][there], columns.values["ask"][there])


def made_up(feed: str, symbol: str, seed: int) -> Iterator[QuoteSeen]:
    """For ever, from the instant 0: feeds with equal `seed` see one market of the symbol, each at its own times and with its
    own noise.
    """
    level = 1.0 + crc32(symbol.encode()) % 1000 / 1000
    for chunk in range(2**31):
        market = np.random.default_rng((seed, crc32(symbol.encode()), chunk))
        path = level * np.exp(np.cumsum(market.normal(0.0, _STEP, CHUNK_S * NS_PER_SECOND // GRID_NS)))
        own = np.random.default_rng((seed, crc32(f"{feed} {symbol}".encode()), chunk))
        ts = np.unique(own.integers(0, CHUNK_S * NS_PER_SECOND, int(CHUNK_S * _QUOTES_S)))
        mid = path[ts // GRID_NS] * (1.0 + own.normal(0.0, _NOISE, ts.size))
        yield from _events(
            symbol, ts + chunk * CHUNK_S * NS_PER_SECOND, mid * (1 - _HALF_SPREAD), mid * (1 + _HALF_SPREAD)
        )
        level = float(path[-1])


def _events(symbol: str, ts: Instants, bid: Floats, ask: Floats) -> Iterator[QuoteSeen]:
    for venue, low, high in zip(ts.tolist(), bid.tolist(), ask.tolist(), strict=True):
        yield QuoteSeen(symbol=symbol, ts_received=venue + LATENCY_NS, ts_venue=venue, bid=low, ask=high)
