"""Columns out of csv, csv.gz and parquet files. A cell that is no number is a problem of its row, not of the file."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.model.time import from_datetime

Floats = NDArray[np.float64]
Instants = NDArray[np.int64]
NO_TIME: Final = np.iinfo(np.int64).min
TIMESTAMP: Final = "timestamp"
_ALIASES: Final = {"time": TIMESTAMP, "date": TIMESTAMP, "datetime": TIMESTAMP}
_PRICES: Final = frozenset({"close", "bid", "bid_close", "price"})
_SIZES: Final = ("volume", "size", "amount", "bid_size", "ask_size")
_YEARS: Final = range(1678, 2262)  # what 64 bits of nanoseconds can say


class Columns(msgspec.Struct):
    """`ts` in ns UTC, NO_TIME where it cannot be read; values NaN where empty or no number. `problems` by row number."""

    ts: Instants
    values: dict[str, Floats]
    problems: dict[int, str]


def column_names(path: Path) -> tuple[str, ...]:
    """Names as used here: `timestamp` first whatever it is called, prices in lower case. Raises DataError."""
    return tuple(_canonical(_parquet_header(path) if path.suffix == ".parquet" else _csv_header(path)))


def read_columns(path: Path, names: Sequence[str]) -> Columns:
    """The timestamps and the columns named. Raises DataError for a file that cannot be read."""
    picked = (TIMESTAMP, *names)
    read = _read_parquet if path.suffix == ".parquet" else _read_csv
    columns = read(path, [column_names(path).index(name) for name in picked], picked)
    for name in (size for size in _SIZES if size in names):  # prices are validation's matter
        for row in np.flatnonzero(np.isinf(columns.values[name])).tolist():
            columns.problems.setdefault(row, f"{name}={columns.values[name][row]} is not a number")
    if not (columns.ts != NO_TIME).any():
        hint = f": {next(iter(columns.problems.values()))}" if columns.problems else ""
        raise DataError(f"{path}: no row with a timestamp such as 2017-01-03T14:15:00Z{hint}")
    return columns


def read_cells(path: Path, name: str) -> list[str]:
    """The text in a column of a csv file, "" where a row is too short. Raises DataError for a file that cannot be read."""
    index = column_names(path).index(name)
    with csv_rows(path) as rows:
        next(rows)
        return [row[index] if index < len(row) else "" for row in rows if row]


def read_instants(path: Path, name: str) -> Instants:
    """A column of times in ns UTC, NO_TIME where one cannot be read. Raises DataError for a file that cannot be read."""
    index = column_names(path).index(name)
    if path.suffix != ".parquet":
        return _instants(read_cells(path, name), {})
    with _parquet(path) as file:
        header = file.schema_arrow.names
        return _arrow_instants(file.read(columns=[header[index]], use_threads=False)[header[index]], path, {})


def _canonical(header: Sequence[str]) -> Iterator[str]:
    """Tickers keep their capitals: a wide panel is known by them. `OPEN`, `CLOSE` are no tickers."""
    lower = [name.strip().lower() for name in header]
    tickers = all(name == name.upper() for name in header[1:]) and not _PRICES.intersection(lower)
    for name, low in zip(header, lower, strict=True):
        yield _ALIASES.get(low, name.strip() if tickers and low != TIMESTAMP else low)


# --- csv ---------------------------------------------------------------------------------------------------------------
@contextmanager
def csv_rows(path: Path) -> Iterator[Iterator[list[str]]]:
    """The rows of a csv file as text, the header first. Raises DataError for a file that cannot be read."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield csv.reader(file)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as csv: {error}") from None


def _csv_header(path: Path) -> list[str]:
    with csv_rows(path) as rows:
        return next(rows, [])


def _read_csv(path: Path, picks: Sequence[int], names: Sequence[str]) -> Columns:
    problems: dict[int, str] = {}
    cells: list[list[str]] = [[] for _ in picks]
    with csv_rows(path) as rows:
        width = len(next(rows))
        for row in rows:
            if not row:
                continue
            if len(row) != width:
                problems[len(cells[0])] = f"{len(row)} cells, expected {width}"
                row = (row + [""] * width)[:width]  # noqa: PLW2901 - the repaired row
            for column, pick in zip(cells, picks, strict=True):
                column.append(row[pick])
    ts = _instants(cells[0], problems)
    values = {name: _numbers(column, name, problems) for name, column in zip(names[1:], cells[1:], strict=True)}
    return Columns(ts, values, problems)


def _numbers(cells: Sequence[str | None], name: str, problems: dict[int, str]) -> Floats:
    values = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        try:
            values[i] = float(cell or "nan")
        except ValueError:
            problems.setdefault(i, f"{name}={cell!r:.60} is not a number")
    return values


def _instants(cells: Sequence[str | None], problems: dict[int, str]) -> Instants:
    ts = np.full(len(cells), NO_TIME)
    for i, cell in enumerate(cells):
        try:
            instant = datetime.fromisoformat(cell or "")
        except ValueError:
            instant = None
        if instant is None or instant.year not in _YEARS:
            problems.setdefault(i, f"{TIMESTAMP}={cell!r:.60} is not a time")
        else:
            ts[i] = from_datetime(instant if instant.tzinfo else instant.replace(tzinfo=UTC))
    return ts


# --- parquet -----------------------------------------------------------------------------------------------------------
@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import parquet

    pa.set_memory_pool(pa.system_memory_pool())  # the default one keeps what it once took
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as parquet: {error}") from None


def _parquet_header(path: Path) -> list[str]:
    with _parquet(path) as file:
        return list(file.schema_arrow.names)


def _read_parquet(path: Path, picks: Sequence[int], names: Sequence[str]) -> Columns:
    problems: dict[int, str] = {}
    with _parquet(path) as file:
        header = file.schema_arrow.names
        table = file.read(columns=[header[pick] for pick in picks], use_threads=False)
    ts = _arrow_instants(table[header[picks[0]]], path, problems)
    values = {
        name: _arrow_numbers(table[header[pick]], path, name, problems)
        for name, pick in zip(names[1:], picks[1:], strict=True)
    }
    return Columns(ts, values, problems)


def _arrow_instants(column: Any, path: Path, problems: dict[int, str]) -> Instants:
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _instants(column.to_pylist(), problems)
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        raise DataError(f"{path}: column {TIMESTAMP!r} is {column.type}, expected a timestamp in UTC or ISO text")
    try:
        nanoseconds = column.cast(pa.timestamp("ns")).cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: column {TIMESTAMP!r}: {error}") from None
    ts = np.asarray(_numpy(nanoseconds.fill_null(NO_TIME) if nanoseconds.null_count else nanoseconds), dtype=np.int64)
    problems |= dict.fromkeys(np.flatnonzero(ts == NO_TIME).tolist(), f"{TIMESTAMP} is empty")
    return ts


def _arrow_numbers(column: Any, path: Path, name: str, problems: dict[int, str]) -> Floats:
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _numbers(column.to_pylist(), name, problems)
    try:
        return np.asarray(_numpy(column.cast(pa.float64(), safe=False)), dtype=np.float64)
    except pa.ArrowException:
        raise DataError(f"{path}: column {name!r} is {column.type}, expected numbers") from None


def _numpy(column: Any) -> Any:
    """`to_numpy` without the import of pandas in it, which costs more than to read a year of minutes."""
    if column.null_count or not column.num_chunks:
        return column.to_numpy()
    return np.concatenate([np.from_dlpack(chunk) for chunk in column.chunks])
