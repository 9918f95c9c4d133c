"""Ballast, the whole system: market data, signals, portfolio, guardian and execution, as `ballast backtest` runs them.

The profile fx with the rule alone: one strategy, volatility not read, a tenth of the equity in each trade, no rebalance. Every
control of the guardian is on; its limits are far away, so that no order of the rule is cut or denied.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from tools.bench_engines.case import CASH, FAST, FEE, SLOW, Answer, Fill, main, trades

from common.messages import Message, OrderFilled
from common.runtime.settings import load
from research.fast.market import load_market
from research.run import run as backtest

STRATEGY: Final = "sma_cross_20_50"
STOP: Final = 0.99  # as far away as a stop can be
BUDGET: Final = 0.1
FAR_AWAY: Final = {
    "max_order_qty": 1e12,
    "max_order_notional": 1e6,
    "max_position": 1e6,
    "max_gross_exposure": 1e6,
    "max_net_exposure": 1e6,
    "max_leverage": 1e6,
    "max_correlated": 1e6,
    "max_currency": 1e6,
    "max_var_95_1d": 1.0,
    "max_daily_loss": 1.0,
    "max_drawdown": 1.0,
    "price_collar": 1.0,
    "stale_after_bars": 1e6,
    "max_clock_jump_hours": 1e6,
    "notional_per_minute": 1e9,
}
LADDERS: Final = {
    "drawdown": 1.0,
    "daily_loss": 1.0,
    "correlation": 1.0,
    "volatility": 1e9,
    "var": 1e9,
    "connection": 1e9,
}


def config(folder: Path, timeframe: str) -> dict[str, Any]:
    """For a folder with one file of bars of that timeframe."""
    made = load("fx")
    made["run"] = {"data": str(folder.resolve())}
    made["account"] = {"id": "paper", "currency": "USD", "starting_cash": CASH}
    made["market_data"] |= {"symbols": [], "timeframes": [timeframe], "half_spreads": {"EUR-USD": "0"}}
    made["regime"] = {"timeframes": []}
    made["signals"] = {
        "timeframes": [timeframe],
        "strategies": [STRATEGY],
        "params": {STRATEGY: {"NORMAL": {"fast": FAST, "slow": SLOW}}},
        "normal": {"size_factor": 1.0, "confirmations": 1, "stop_fraction": STOP, "hold_factor": 10.0},
    }
    made["portfolio"] = {
        "allocation": {"core": 1.0, "growth": 0.0, "tactical": 0.0},
        "risk_per_trade": BUDGET,
        "max_total_risk": 1.0,
        "rebalance_hours": 8760,
        "drift_band": 1.0,
        "min_trade_notional": 0.0,
    }
    made["risk_guardian"] = {
        "limits": FAR_AWAY,
        "streaks": {"max_losses": 1000},
        "ladders": {name: [{"trigger": at, "release": 0.9 * at}] for name, at in LADDERS.items()},
    }
    made["execution"] = {"taker_bps": FEE * 1e4}
    return made


def timeframe_of(path: Path) -> str:
    """`1m` of `EURUSD_M1.parquet`."""
    name = path.stem.rpartition("_")[2]
    return name[1:] + name[0].lower()


def run(path: Path) -> Answer:
    return _run(path, plain=False)


def _run(path: Path, *, plain: bool) -> Answer:
    made = config(path.parent, timeframe_of(path))
    filled: list[OrderFilled] = []

    def watch(message: Message) -> None:
        if isinstance(message, OrderFilled):
            filled.append(message)

    summary = backtest(made, watchers=[watch], plain=plain)
    if summary.denied or summary.halts or summary.quarantined:
        raise AssertionError(f"not the rule alone: {summary.result()}")
    market = load_market(made)
    assert market is not None
    at = np.searchsorted(market.ts, [each.ts_event for each in filled]) - 1  # fills in the bar after
    fills = [Fill(int(bar), float(each.signed_qty), float(each.last_px)) for bar, each in zip(at, filled, strict=True)]
    return {**trades(fills), "engine": np.array(summary.engine), "handled": np.array(summary.handled)}


def plain(path: Path) -> Answer:
    """Message by message."""
    return _run(path, plain=True)


if __name__ == "__main__":
    main(version("ballast"), run, plain=plain)
