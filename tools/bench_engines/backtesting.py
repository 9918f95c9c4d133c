"""backtesting.py (AGPL-3.0: in an environment of its own, never a dependency)."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy  # type: ignore[import-not-found]
from tools.bench_engines.case import CASH, FAST, FEE, SLOW, UNITS, Answer, main


def average(values: Any, period: int) -> Any:
    return pd.Series(values).rolling(period).mean()


class Flip(Strategy):  # type: ignore[misc]
    def init(self) -> None:
        self.fast = self.I(average, self.data.Close, FAST)
        self.slow = self.I(average, self.data.Close, SLOW)
        self.side = 0

    def next(self) -> None:
        fast, slow = self.fast[-1], self.slow[-1]
        side = int(fast > slow) - int(fast < slow)
        if side == self.side:
            return
        self.side = side
        if side == 0:
            self.position.close()
        elif side > 0:
            self.buy(size=UNITS)
        else:
            self.sell(size=UNITS)


def run(path: Path) -> Answer:
    bars = pd.read_parquet(path).set_index("timestamp")
    bars.columns = [name.capitalize() for name in bars.columns]
    stats = Backtest(bars, Flip, cash=CASH, commission=FEE, exclusive_orders=True).run()
    found = stats["_trades"]
    return {
        "side": np.sign(found["Size"].to_numpy()).astype(float),
        "entry": found["EntryBar"].to_numpy() - 1,  # fills at the open of the bar after
        "entry_px": found["EntryPrice"].to_numpy(),
        "exit": found["ExitBar"].to_numpy() - 1,
        "exit_px": found["ExitPrice"].to_numpy(),
    }


if __name__ == "__main__":
    main(version("backtesting"), run)
