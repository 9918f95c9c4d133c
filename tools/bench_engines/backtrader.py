"""backtrader, as its manual has it: indicators ahead of the run, market orders at the next open."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import backtrader as bt  # type: ignore[import-not-found]
import pandas as pd
from tools.bench_engines.case import CASH, FAST, FEE, SLOW, UNITS, Answer, Fill, main, trades


class Flip(bt.Strategy):  # type: ignore[misc]
    def __init__(self) -> None:
        self.fast = bt.ind.SMA(self.data.close, period=FAST)
        self.slow = bt.ind.SMA(self.data.close, period=SLOW)
        self.side = 0
        self.fills: list[Fill] = []

    def next(self) -> None:
        fast, slow = self.fast[0], self.slow[0]
        side = int(fast > slow) - int(fast < slow)
        if side != self.side:
            self.side = side
            self.order_target_size(target=side * UNITS)

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.fills.append(Fill(len(self.data) - 2, order.executed.size, order.executed.price))


def run(path: Path) -> Answer:
    bars = pd.read_parquet(path).set_index("timestamp").tz_localize(None)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=bars))
    cerebro.addstrategy(Flip)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(commission=FEE)
    (strategy,) = cerebro.run()
    return trades(strategy.fills)


if __name__ == "__main__":
    main(version("backtrader"), run)
