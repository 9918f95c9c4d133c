"""vectorbt (Apache-2.0 with Commons Clause: in an environment of its own, never a dependency).

Each moving average once, all pairs side by side in one `from_signals`, orders at the next bar's open. Kernels are its own choice
of the compiled ones that are installed (numba, or Rust where `vectorbt-rust` is).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt  # type: ignore[import-not-found]
from tools.bench_engines.case import CASH, FAST, FASTS, FEE, SLOW, SLOWS, UNITS, Answer, main


def portfolio(path: Path, fasts: Sequence[int], slows: Sequence[int]) -> Any:
    bars = pd.read_parquet(path).set_index("timestamp")
    fast, slow = (vbt.MA.run(bars["close"], list(periods)).ma.to_numpy() for periods in (fasts, slows))
    fast, slow = (each.reshape(len(bars), -1) for each in (fast, slow))
    fast, slow = np.repeat(fast, slow.shape[1], axis=1), np.tile(slow, (1, fast.shape[1]))
    return vbt.Portfolio.from_signals(
        bars["close"],
        entries=fast > slow,
        short_entries=fast < slow,
        exits=fast == slow,
        short_exits=fast == slow,
        size=UNITS,
        price=bars["open"].shift(-1),
        fees=FEE,
        init_cash=CASH,
        freq=bars.index[1] - bars.index[0],
    )


def run(path: Path) -> Answer:
    found = portfolio(path, [FAST], [SLOW]).trades.records
    found = found[found["status"] == 1]
    return {
        "side": np.where(found["direction"] == 0, 1.0, -1.0),
        "entry": found["entry_idx"].to_numpy(),
        "entry_px": found["entry_price"].to_numpy(),
        "exit": found["exit_idx"].to_numpy(),
        "exit_px": found["exit_price"].to_numpy(),
    }


def sweep(path: Path) -> Answer:
    book = portfolio(path, FASTS, SLOWS)
    measured = (book.total_return(), book.max_drawdown(), book.sharpe_ratio())
    names = ("total_return", "max_drawdown", "sharpe_ratio")
    found = {name: each.to_numpy() for name, each in zip(names, measured, strict=True)}
    return {**found, "trades": book.trades.closed.count().to_numpy()}


if __name__ == "__main__":
    main(version("vectorbt"), run, sweep)
