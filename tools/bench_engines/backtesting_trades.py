"""The list of trades that backtesting.py makes of a cross of two plain averages, for services/research/tests/test_agreement.py.

`python -m tools.bench_engines.backtesting_trades BARS.npz TRADES.npz`, in the environment of backtesting.py. BARS has `ts`, `ohlc`
(float64[4, bars]) and the numbers of the case.
"""

from __future__ import annotations

import sys
from math import floor
from typing import Any

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy  # type: ignore[import-not-found]
from tools.bench_engines.backtesting import average


def flip(case: Any) -> type[Any]:
    """Long, short or flat by the sign of fast less slow; the quantity is whole and loses the budget at the stop."""
    fast, slow, budget, stop = int(case["fast"]), int(case["slow"]), float(case["budget"]), float(case["stop"])

    class Flip(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.fast, self.slow = (self.I(average, self.data.Close, period) for period in (fast, slow))
            self.side = 0

        def next(self) -> None:
            side = int(self.fast[-1] > self.slow[-1]) - int(self.fast[-1] < self.slow[-1])
            if side == self.side:
                return
            self.side = side
            self.position.close()
            qty = floor(self.equity * budget / (self.data.Close[-1] * stop) * (1 + 1e-12))
            if side:
                (self.buy if side > 0 else self.sell)(size=qty)

    return Flip


def main(source: str, target: str) -> None:
    case = np.load(source)
    bars = pd.DataFrame(case["ohlc"].T, pd.to_datetime(case["ts"]), ["Open", "High", "Low", "Close"])
    stats = Backtest(bars, flip(case), cash=float(case["cash"]), commission=float(case["fee"])).run()
    found = stats["_trades"]
    np.savez(
        target,
        qty=found["Size"].to_numpy(),
        entry=found["EntryBar"].to_numpy(),
        entry_px=found["EntryPrice"].to_numpy(),
        exit=found["ExitBar"].to_numpy(),
        exit_px=found["ExitPrice"].to_numpy(),
        profit=found["PnL"].to_numpy(),
        equity=stats["_equity_curve"]["Equity"].to_numpy(),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
