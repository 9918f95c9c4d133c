"""Ballast's sweep: the rules and the paper venue of the whole system as kernels, configurations side by side."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from tools.bench_engines.ballast import BUDGET, STOP, STRATEGY, config, timeframe_of
from tools.bench_engines.case import FAST, FASTS, SLOW, SLOWS, Answer, main

from common.model.enums import Side, Tier
from common.model.time import Timeframe
from research.sweep.grid import Configuration
from research.sweep.measures import measures
from research.sweep.run import Frame
from research.sweep.run import run as run_all
from research.sweep.series import Series, Terms, read, series, terms
from research.sweep.trades import trades

NEVER: Final = 2**62


def prices(path: Path) -> tuple[Series, Terms]:
    made = config(path.parent, timeframe_of(path))
    (history,) = read(made).values()
    costs = terms(made)
    return series(history, history.base, [history], costs), costs


def cross(of: Series, fast: int, slow: int) -> Configuration:
    return Configuration(
        symbol=of.instrument.symbol,
        timeframe=Timeframe(of.timeframe),
        strategy=STRATEGY,
        params={"fast": fast, "slow": slow},
        tier=Tier.CORE,
        stop_fraction=STOP,
        confirmations=1,
        longest=NEVER,
        risk=BUDGET,
    )


def run(path: Path) -> Answer:
    of, costs = prices(path)
    closed = [each for each in trades(of, cross(of, FAST, SLOW), costs) if each.exit_ns is not None]
    bars = of.ts[of.signal_at >= 0]
    return {
        "side": np.array([1.0 if each.side is Side.BUY else -1.0 for each in closed]),
        "entry": np.searchsorted(bars, [each.entry_ns for each in closed]) - 1,  # fills in the bar after
        "entry_px": np.array([float(each.entry_px) for each in closed]),
        "exit": np.searchsorted(bars, [each.exit_ns or 0 for each in closed]) - 1,
        "exit_px": np.array([float(each.exit_px or 0) for each in closed]),
    }


def sweep(path: Path) -> Answer:
    of, costs = prices(path)
    grid = [cross(of, fast, slow) for fast in FASTS for slow in SLOWS]
    found = [each.in_sample for each in measures(run_all(of, grid, costs, Frame.whole()), of, grid, costs)]
    return {
        "total_return": np.array([each.equity / costs.cash - 1 for each in found]),
        "max_drawdown": np.array([-each.max_drawdown for each in found]),
        "sharpe_ratio": np.array([np.nan if each.sharpe is None else each.sharpe for each in found]),
        "trades": np.array([each.trades for each in found]),
    }


if __name__ == "__main__":
    main(version("ballast"), run, sweep)
