"""Results by what trades have in common: the strategy, the regime, the session, the timeframe, the volume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from common.quant.performance import profit_factor, win_rate
from research.chronicle import Chronicle
from research.report.records import Trade


def groups(chronicle: Chronicle) -> dict[str, dict[str, dict[str, Any]]]:
    """By kind of group and its name: closed `trades`, `profit` in the account currency, `win_rate` and `profit_factor` (None where
    undefined).

    By regime, session and volume, each as it was at the entry, a trade is in one group, with its profit after commission. By
    strategy and by timeframe it is in the group of everyone who earned or lost in it, with just that: what the contribution made,
    before commission. Financing is in none.
    """
    trades = chronicle.trades
    return {
        "strategy": _judged(chain.from_iterable(_shares(trade, 0) for trade in trades)),
        "regime": _judged((trade.regime, trade.profit or 0.0) for trade in trades),
        "session": _judged((trade.session, trade.profit or 0.0) for trade in trades),
        "timeframe": _judged(chain.from_iterable(_shares(trade, 1) for trade in trades)),
        "volume": _judged((trade.volume, trade.profit or 0.0) for trade in trades),
    }


def by_group(pairs: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    """Profits by name of the group, in the order of the trades."""
    found: dict[str, list[float]] = {}
    for name, profit in pairs:
        found.setdefault(name, []).append(profit)
    return found


def _shares(trade: Trade, at: int) -> Iterable[tuple[str, float]]:
    """What was earned in one trade, by one half of the key: 0 the strategy, 1 the timeframe."""
    shares: dict[str, float] = {}
    for key, profit in trade.earned.items():
        shares[key[at]] = shares.get(key[at], 0.0) + profit
    return shares.items()


def _judged(pairs: Iterable[tuple[str, float]]) -> dict[str, dict[str, Any]]:
    found: Mapping[str, Sequence[float]] = by_group(pairs)
    return {
        name: {
            "trades": len(profits),
            "profit": round(sum(profits), 2),
            "win_rate": win_rate(profits),
            "profit_factor": profit_factor(profits),
        }
        for name, profits in sorted(found.items())
    }
