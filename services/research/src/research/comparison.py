"""A run against what one could have held instead, against bitcoin, and against the stated targets (PFL-11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from common.model.money import Conversion
from common.model.time import NS_PER_DAY
from common.quant import performance
from research.chronicle import Chronicle
from research.report.series import Days, Floats, buy_and_hold, forward, rates
from research.summary import Summary


class Target(NamedTuple):
    """What the book is meant to reach. `sign` +1: more is better."""

    metric: str
    value: float
    sign: int


TARGETS: Final = (
    Target("sharpe_ratio", 1.5, 1),
    Target("max_drawdown", -0.10, 1),  # negative, as empyrical's
    Target("win_rate", 0.60, 1),
    Target("profit_factor", 1.8, 1),
    Target("btc_correlation", 0.3, -1),
)


def compared(summary: Summary, chronicle: Chronicle) -> dict[str, float | None]:
    """`alpha` and `beta` to buying and holding all instruments alike, `btc_correlation` of daily returns where bitcoin is
    among the instruments, and the `diversification_ratio` of what positions earned by day. None where undefined.
    """
    ts, equity = summary.daily()
    if ts.size < 2:
        return dict.fromkeys(("alpha", "beta", "btc_correlation", "diversification_ratio"))
    days, returns = (ts - 1) // NS_PER_DAY, equity[1:] / equity[:-1] - 1.0
    held = buy_and_hold(chronicle.closes, chronicle.instruments, chronicle.account_currency, days, float(equity[0]))
    benchmark = None if held is None else held[1:] / held[:-1] - 1.0
    annualization = summary.annualization
    return {
        "alpha": None if benchmark is None else performance.alpha(returns, benchmark, annualization),
        "beta": None if benchmark is None else performance.beta(returns, benchmark),
        "btc_correlation": _btc_correlation(chronicle, days, returns),
        "diversification_ratio": performance.diversification_ratio(_profits(chronicle, days)),
    }


def against_targets(metrics: Mapping[str, float | None]) -> dict[str, dict[str, Any]]:
    """By metric: the value, the target and whether it is met, None where that is undefined."""
    found = {}
    for target in TARGETS:
        value = metrics.get(target.metric)
        met = None if value is None else target.sign * (value - target.value) > 0
        found[target.metric] = {"value": value, "target": target.value, "met": met}
    return found


def _btc_correlation(chronicle: Chronicle, days: Days, returns: Floats) -> float | None:
    names = [name for name, one in chronicle.instruments.items() if one.base == "BTC" and chronicle.closes.get(name)]
    if not names:
        return None
    px = forward(chronicle.closes[names[0]], days)
    moves = px[1:] / px[:-1] - 1.0
    known = np.isfinite(moves)
    return performance.correlation(returns[known], moves[known])


def _profits(chronicle: Chronicle, days: Days) -> Floats:
    """float64[days - 1, instruments]: what was held at the end of a day times the move of the next one, in the account
    currency. What was bought and sold inside a day is not in it.
    """
    names = [name for name in chronicle.instruments if chronicle.closes.get(name)]
    conversion = Conversion(chronicle.account_currency, chronicle.instruments.values())
    px = {name: forward(chronicle.closes[name], days) for name in names}
    worth = rates(conversion, sorted({chronicle.instruments[name].quote for name in names}), px, days.size)
    columns = []
    for name in names:
        qty = np.array([chronicle.held.get(day, {}).get(name, 0.0) for day in days.tolist()])
        earned = qty[:-1] * np.diff(px[name]) * worth[chronicle.instruments[name].quote][1:]
        columns.append(np.nan_to_num(earned))
    return np.column_stack(columns) if columns else np.zeros((0, 0))
