"""The bars that all engines read: `python -m tools.bench_engines.prices FOLDER BARS [DATA]`.

Of real data beside the checkout (its fx/m1 and fx/h1, see docs/research/benchmarks.md), or without any of it a random walk; at most
BARS of each, 0 for all. Each case is a folder with one parquet file: `timestamp` when a bar opens, open, high, low, close.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

Columns: TypeAlias = dict[str, NDArray[Any]]

OHLC: Final = ("open", "high", "low", "close")
SWEEP_BARS: Final = 100_000
MONDAY: Final = np.datetime64("2017-01-02", "ms")


def main(folder: str, bars: str, data: str = "") -> None:
    cases = {}
    for name, columns in (_recorded(Path(data)) if data else _walk()).items():
        label, _, timeframe = name.rpartition(" ")
        most = int(bars) or None
        cases[label] = _write(Path(folder) / label.replace(" ", "_"), timeframe, columns, most)
        if timeframe == "M1":
            cases["sweep"] = _write(Path(folder) / "sweep", timeframe, columns, most or SWEEP_BARS)
    print(json.dumps(cases))


def _recorded(data: Path) -> dict[str, Columns]:
    minutes = parquet.read_table(data / "fx/m1/EURUSD_M1_201701-201712_histdata_bid.parquet")
    hours = parquet.read_table(data / "fx/h1/EURUSD_H1_oanda_bidask.parquet")
    mids = {name: np.round((hours[f"bid_{name}"].to_numpy() + hours[f"ask_{name}"].to_numpy()) / 2, 5) for name in OHLC}
    return {
        "EURUSD minutes 2017 M1": {name: minutes[name].to_numpy() for name in ("timestamp", *OHLC)},
        "EURUSD hours 2007-2018 H1": {"timestamp": hours["timestamp"].to_numpy(), **mids},
    }


def _walk(bars: int = 370_000) -> dict[str, Columns]:
    rng = np.random.default_rng(1)
    close = np.round(1.1 * np.exp(np.cumsum(rng.normal(0.0, 0.0001, bars))), 5)
    first = np.concatenate((close[:1], close[:-1]))
    wide = np.round(rng.exponential(0.00005, (2, bars)), 5)
    ohlc = (first, np.maximum(first, close) + wide[0], np.minimum(first, close) - wide[1], close)
    opened = MONDAY + np.arange(bars) * np.timedelta64(60_000, "ms")
    columns = {"timestamp": opened, **{name: np.round(each, 5) for name, each in zip(OHLC, ohlc, strict=True)}}
    return {"random walk of minutes M1": columns}


def _write(folder: Path, timeframe: str, columns: Columns, most: int | None) -> dict[str, Any]:
    folder.mkdir(parents=True)
    path = folder / f"EURUSD_{timeframe}.parquet"
    stamps = pa.array(columns["timestamp"][:most].astype("datetime64[ms]"), pa.timestamp("ms", "UTC"))
    parquet.write_table(pa.table({"timestamp": stamps, **{name: columns[name][:most] for name in OHLC}}), path)
    return {"path": str(path), "bars": len(stamps)}


if __name__ == "__main__":
    main(*sys.argv[1:])
