"""The numbers behind the charts, as the page's script wants them: thinned, rounded, times in seconds."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from common.model.time import NS_PER_DAY, NS_PER_SECOND
from research.report import series
from research.report.facts import Facts
from research.report.records import Trade
from research.report.series import Days, Floats

TRADES_SHOWN: Final = 4_000
_PRICES: Final = 350  # stretches of a price chart; each keeps its highest and lowest close
_FEW_DAYS: Final = 90
_DIGITS: Final = 6  # significant ones of a price


def drawings(facts: Facts) -> dict[str, Any]:
    """By chart: kind of value, seconds, and lines by name."""
    trades = facts.chronicle.all_trades()
    shown = sorted(trades, key=lambda trade: trade.entry_ns)[-TRADES_SHOWN:]
    names = sorted({name for trade in shown for name in trade.strategies})
    return {
        "currency": facts.chronicle.account_currency,
        "charts": _curves(facts),
        "prices": {name: _prices(facts, name, shown) for name in facts.chronicle.closes},
        "strategies": names,
        "trades": [_row(trade, names) for trade in shown],
        "tradesInAll": len(trades),
    }


def _curves(facts: Facts) -> dict[str, Any]:
    """Equity and drawdown begin with the start, before the first day is over."""
    ts = np.concatenate(([facts.chronicle.first_ns], facts.ts))
    book = np.concatenate(([facts.start], facts.equity))
    down = series.drawdown(book)
    kept = series.thinned(book, down)
    equity = {"Book": book}
    if facts.benchmark is not None:
        equity["Buy and hold"] = np.concatenate(([facts.start], facts.benchmark))
    mark = {} if facts.out_of_sample_ns is None else {"mark": facts.out_of_sample_ns // NS_PER_SECOND}
    around = series.thinned(facts.gross, facts.net) if facts.gross.size else np.empty(0, dtype=np.int64)
    of_sharpe = series.thinned(facts.sharpe) if facts.sharpe.size else around
    exposure = {"Gross": facts.gross, "Net": facts.net}
    return {
        "equity": {"kind": "money", **mark, **_lines(ts[kept], kept, equity, 2)},
        "drawdown": {"kind": "share", "area": "down", **_lines(ts[kept], kept, {"Drawdown": -down}, 5)},
        "sharpe": {
            "kind": "ratio",
            "zero": True,
            **_lines(facts.ts[of_sharpe], of_sharpe, {"Sharpe ratio": facts.sharpe}, 3),
        },
        "exposure": {"kind": "share", "zero": True, **_lines(facts.ts[around], around, exposure, 4)},
    }


def _lines(ts_ns: Days, kept: Days, lines: dict[str, Floats], digits: int) -> dict[str, Any]:
    return {
        "t": (ts_ns // NS_PER_SECOND).tolist(),
        "lines": {name: [_rounded(value, digits) for value in curve[kept].tolist()] for name, curve in lines.items()},
    }


def _rounded(value: float, digits: int) -> float | None:
    return round(value, digits) if np.isfinite(value) else None


def _prices(facts: Facts, name: str, trades: list[Trade]) -> dict[str, Any]:
    """Daily closes, and the fills' own prices at the entries and exits of the trades shown. A line of few days goes through
    those too.
    """
    closes = facts.chronicle.closes[name]
    day = np.fromiter(closes.keys(), dtype=np.int64, count=len(closes))
    px = np.fromiter(closes.values(), dtype=np.float64, count=len(closes))
    kept = series.thinned(px, buckets=_PRICES)
    marks = [mark for trade in trades if trade.instrument_id == name for mark in _marks(trade)]
    seconds = (day[kept] + 1) * (NS_PER_DAY // NS_PER_SECOND)
    line = [(at, _px(value)) for at, value in zip(seconds.tolist(), px[kept].tolist(), strict=True)]
    if len(closes) <= _FEW_DAYS:
        line = sorted([*line, *((mark[0], mark[1]) for mark in marks)])
    return {"t": [at for at, _ in line], "px": [value for _, value in line], "marks": marks}


def _marks(trade: Trade) -> list[list[Any]]:
    """[seconds, price, what]: 1 long entry, -1 short entry, 0 exit."""
    marks = [[trade.entry_ns // NS_PER_SECOND, _px(float(trade.first_px)), 1 if trade.side == "LONG" else -1]]
    if trade.exit_ns:
        marks.append([trade.exit_ns // NS_PER_SECOND, _px(float(trade.last_px)), 0])
    return marks


def _px(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _row(trade: Trade, names: list[str]) -> list[Any]:
    """As the script's table of trades has its columns; strategies as places in `names`."""
    px = trade.exit_px()
    return [
        trade.entry_ns // NS_PER_SECOND,
        trade.exit_ns // NS_PER_SECOND,
        trade.instrument_id,
        trade.side,
        float(trade.qty),
        _px(trade.entry_px()),
        None if px is None else _px(px),
        None if trade.profit is None else round(trade.profit, 2),
        round(trade.commission, 2),
        trade.regime,
        trade.session,
        [names.index(name) for name in trade.strategies],
    ]
