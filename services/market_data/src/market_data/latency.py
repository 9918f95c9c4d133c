"""How late prices were received, where a file has two clocks: the recorder's in `timestamp`, the venue's in `exchange_time`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from common.model.time import NS_PER_DAY
from market_data.feeds.catalog import Source, catalog
from market_data.feeds.files import NO_TIME, Floats, Instants, column_names, read_instants

VENUE_CLOCK: Final = "exchange_time"
_MILLISECOND: Final = 1_000_000


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Received less sent, in milliseconds; negative where the recorder's clock is behind the venue's, which `behind` counts as a
    share. `jitter_ms` is the 99th percentile over the fastest: what no wrong clock explains.
    """

    rows: int
    median_ms: float
    p95_ms: float
    p99_ms: float
    jitter_ms: float
    behind: float


class Lags(NamedTuple):
    """Of one instrument: rows received at `ts`, after `ns`."""

    ts: Instants
    ns: Instants

    def latency(self) -> Latency:
        return _latency(self.ns)

    def by_day(self) -> Iterator[tuple[int, Latency]]:
        """By number of the UTC day, rising."""
        day = (self.ts - 1) // NS_PER_DAY
        for one in np.unique(day).tolist():
            yield one, _latency(self.ns[day == one])


def lags_of(directory: Path, symbol: str, start_ns: int | None, end_ns: int | None) -> dict[str, Lags]:
    """By instrument; empty where no file has two clocks. Raises DataError."""
    found: dict[str, list[Lags]] = {}
    for sources in catalog(directory, (symbol,)).instruments:
        for source in sources:
            if source.kind.is_ticks and VENUE_CLOCK in column_names(source.path):
                instrument_id = f"{source.symbol.name}.{sources[0].venue}"
                found.setdefault(instrument_id, []).append(_read(source, start_ns, end_ns))
    joined = {
        name: Lags(np.concatenate([one.ts for one in lags]), np.concatenate([one.ns for one in lags]))
        for name, lags in found.items()
    }
    return {name: lags for name, lags in joined.items() if lags.ts.size}


def _read(source: Source, start_ns: int | None, end_ns: int | None) -> Lags:
    received, sent = read_instants(source.path, "timestamp"), read_instants(source.path, VENUE_CLOCK)
    there = (received != NO_TIME) & (sent != NO_TIME)
    if start_ns is not None:
        there &= received > start_ns
    if end_ns is not None:
        there &= received <= end_ns
    return Lags(received[there], received[there] - sent[there])


def _latency(ns: Instants) -> Latency:
    ms: Floats = ns / _MILLISECOND
    median, p95, p99 = np.percentile(ms, [50, 95, 99]).tolist()
    return Latency(
        rows=int(ns.size),
        median_ms=median,
        p95_ms=p95,
        p99_ms=p99,
        jitter_ms=p99 - float(ms.min()),
        behind=float(np.mean(ns < 0)),
    )
