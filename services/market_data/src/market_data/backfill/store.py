"""Bars of one instrument in one parquet file, together with the spans that have been asked for: one rename makes both true at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.model.time import Timeframe
from market_data.backfill.spans import Span, merged
from market_data.backfill.venue import Row

_SPANS: Final = b"ballast.backfill.spans"


class Store:
    """What is there, and what is added to it; `save` writes all of it. Prices are float64; the bar's time is when it opens."""

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        """Raises DataError for a file there that no backfill wrote."""
        self.path: Final = path
        self._columns = columns
        self._ts: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._values: NDArray[np.float64] = np.empty((0, len(columns)))
        self.spans: tuple[Span, ...] = ()
        self._saved: tuple[Span, ...] = ()
        self._added: list[tuple[int, Row]] = []
        if path.exists():
            self._read()

    @property
    def bars(self) -> int:
        self._merge()
        return len(self._ts)

    def add(self, span: Span, rows: list[tuple[int, Row]]) -> None:
        """What a venue said of `span`: nothing outside of it is taken, and it need not be asked again."""
        self._added += [row for row in rows if span.start <= row[0] < span.end]
        self.spans = merged((*self.spans, span))

    def save(self) -> None:
        """Readers see the file as it was or as it is, whenever this is killed. Nothing new, or no bar at all: nothing is written."""
        if self.spans == self._saved or not self.bars:
            return
        import pyarrow as pa
        from pyarrow import parquet

        self.path.parent.mkdir(parents=True, exist_ok=True)
        arrays = [pa.array(self._ts, pa.timestamp("ns", tz="UTC")), *(pa.array(column) for column in self._values.T)]
        table = pa.table(arrays, names=["timestamp", *self._columns])
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            parquet.write_table(table.replace_schema_metadata({_SPANS: msgspec.json.encode(self.spans)}), draft)
            with draft.open("rb") as written:
                os.fsync(written.fileno())
            draft.replace(self.path)
            self._saved = self.spans
        finally:
            draft.unlink(missing_ok=True)

    def _read(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        try:
            table: Any = parquet.read_table(self.path)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{self.path}: cannot be read as parquet: {error}") from None
        metadata = table.schema.metadata or {}
        if _SPANS not in metadata or table.column_names != ["timestamp", *self._columns]:
            raise DataError(f"{self.path}: was not written by a backfill of this venue; name another directory")
        self.spans = self._saved = msgspec.json.decode(metadata[_SPANS], type=tuple[Span, ...])
        self._ts = table["timestamp"].cast(pa.int64()).to_numpy().copy()
        self._values = np.column_stack([table[name].to_numpy() for name in self._columns])

    def _merge(self) -> None:
        """In order of time, each bar once; what was said last of it holds."""
        if not self._added:
            return
        ts = np.array([row[0] for row in reversed(self._added)], dtype=np.int64)
        values = np.array([row[1] for row in reversed(self._added)], dtype=np.float64).reshape(
            len(ts), len(self._columns)
        )
        ts, values = np.concatenate([ts, self._ts]), np.concatenate([values, self._values])
        # `unique` keeps the first of equals: the newest come first.
        self._ts, first = np.unique(ts, return_index=True)
        self._values = values[first]
        self._added = []


def file_of(directory: Path, venue: str, symbol: str, timeframe: Timeframe) -> Path:
    """A name that says all a run wants to know: `binance_BTC-USDT_1m.parquet`."""
    return directory / f"{venue}_{symbol}_{timeframe.value}.parquet"
