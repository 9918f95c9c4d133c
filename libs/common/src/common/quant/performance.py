"""How well a book did (PFL-11). Names, formulas and signs are those of empyrical-reloaded.

So, unlike everywhere else in this system, `max_drawdown` here is negative: -0.1 is a loss of a tenth. Returns are simple
returns of equal periods as fractions; `annualization` is the number of periods in a year (365 crypto, 252 equities). The
risk-free rate is zero. What is undefined (too few periods, nothing to divide by) is None, never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.model.time import NS_PER_DAY

Array: TypeAlias = NDArray[np.float64]
Number: TypeAlias = "float | np.floating[Any]"

FLAT: Final = 1e-10  # a standard deviation below this share of the largest return is rounding


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics of a run. Ratios and volatility are annual; None is undefined."""

    cum_returns_final: float | None
    annual_return: float | None
    annual_volatility: float | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    calmar_ratio: float | None
    max_drawdown: float | None  # <= 0, of the daily equity
    alpha: float | None  # None without a benchmark
    beta: float | None
    win_rate: float | None
    profit_factor: float | None
    exposure: float | None
    turnover: float | None


def performance(
    returns: Array,
    annualization: float,
    *,
    trade_profits: Sequence[float] = (),
    equity: Array | None = None,
    gross_exposure: Array | None = None,
    traded: Array | None = None,
    benchmark: Array | None = None,
) -> Performance:
    """All metrics at once. `equity`, `gross_exposure` and `traded` (notional) are per period, aligned with each other;
    `benchmark` is aligned with `returns`, `trade_profits` has one entry per closed trade.
    """
    return Performance(
        cum_returns_final=cum_returns_final(returns),
        annual_return=annual_return(returns, annualization),
        annual_volatility=annual_volatility(returns, annualization),
        sharpe_ratio=sharpe_ratio(returns, annualization),
        sortino_ratio=sortino_ratio(returns, annualization),
        calmar_ratio=calmar_ratio(returns, annualization),
        max_drawdown=max_drawdown(returns),
        alpha=None if benchmark is None else alpha(returns, benchmark, annualization),
        beta=None if benchmark is None else beta(returns, benchmark),
        win_rate=win_rate(trade_profits),
        profit_factor=profit_factor(trade_profits),
        exposure=None if equity is None or gross_exposure is None else exposure(gross_exposure, equity),
        turnover=None if equity is None or traded is None else turnover(traded, equity, annualization),
    )


def daily_returns(ts_ns: Sequence[int], equity: Sequence[float]) -> Array:
    """Returns from one UTC day's last equity to the next one's. Points are in time order; the first is what it started with.

    A point at midnight closes the day before. Days without a point (a closed market) have no return; the returns always
    compound to last over first. Fewer than two points give no returns.
    """
    if len(equity) < 2:
        return np.empty(0)
    values = np.asarray(equity, dtype=np.float64)
    days = (np.asarray(ts_ns[1:], dtype=np.int64) - 1) // NS_PER_DAY
    closes = np.append(np.flatnonzero(np.diff(days)), days.size - 1) + 1
    levels = np.concatenate((values[:1], values[closes]))
    returns: Array = levels[1:] / levels[:-1] - 1.0
    return returns


def cum_returns_final(returns: Array) -> float | None:
    """Total return of the whole span."""
    return _defined(np.prod(1.0 + returns) - 1.0) if returns.size else None


def annual_return(returns: Array, annualization: float) -> float | None:
    """Compound growth per year. None after a loss of more than everything."""
    if not returns.size or np.min(returns) < -1.0:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        return _defined(np.prod(1.0 + returns) ** (annualization / returns.size) - 1.0)


def annual_volatility(returns: Array, annualization: float) -> float | None:
    """Sample standard deviation (ddof 1), annualized."""
    return _defined(np.std(returns, ddof=1) * np.sqrt(annualization)) if returns.size > 1 else None


def sharpe_ratio(returns: Array, annualization: float) -> float | None:
    """Mean over standard deviation, annualized. None where all returns are equal, but for rounding."""
    if returns.size < 2 or is_flat(returns):
        return None
    return _ratio(np.mean(returns) * np.sqrt(annualization), np.std(returns, ddof=1))


def is_flat(returns: Array) -> bool:
    """Whether all returns are equal, but for rounding."""
    return bool(np.std(returns) <= FLAT * np.max(np.abs(returns)))


def sortino_ratio(returns: Array, annualization: float) -> float | None:
    """Mean over downside deviation (root mean square of the losses, over all periods), annualized. None without a loss."""
    if returns.size < 2:
        return None
    return _ratio(np.mean(returns) * np.sqrt(annualization), np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)))


def max_drawdown(returns: Array) -> float | None:
    """The worst loss from a peak, the start being one: in [-1, 0] for a book that cannot lose more than it has."""
    if not returns.size:
        return None
    level = np.concatenate((np.ones(1), np.cumprod(1.0 + returns)))
    return _defined(np.min(level / np.maximum.accumulate(level) - 1.0))


def calmar_ratio(returns: Array, annualization: float) -> float | None:
    """Annual return over the size of the worst drawdown. None without a drawdown."""
    growth, worst = annual_return(returns, annualization), max_drawdown(returns)
    return None if growth is None or worst is None else _ratio(growth, -worst)


def beta(returns: Array, benchmark: Array) -> float | None:
    """Slope of the returns on the benchmark's. None where the benchmark does not move."""
    if returns.size < 2:
        return None
    residual = benchmark - np.mean(benchmark)
    variance = np.mean(residual**2)
    return _defined(np.mean(residual * returns) / variance) if variance >= 1e-30 else None


def alpha(returns: Array, benchmark: Array, annualization: float) -> float | None:
    """Mean return that the benchmark does not explain, compounded over a year."""
    slope = beta(returns, benchmark)
    if slope is None:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        return _defined((1.0 + np.mean(returns - slope * benchmark)) ** annualization - 1.0)


def correlation(returns: Array, benchmark: Array) -> float | None:
    """Pearson's, in [-1, 1]. None where one of the two does not move."""
    if returns.size < 3:
        return None
    one, other = returns - np.mean(returns), benchmark - np.mean(benchmark)
    scale = np.sqrt(np.sum(one * one) * np.sum(other * other))
    return _defined(np.clip(np.sum(one * other) / scale, -1.0, 1.0)) if scale > 1e-30 else None


def diversification_ratio(profits: Array) -> float | None:
    """Sum of the deviations of what each position earned over the deviation of their sum (Choueifaty and Coignard 2008, as
    realized): 1 for a book that moves as one, higher where positions offset each other. `profits` is float64[periods,
    positions]. None where the sum does not move.
    """
    if profits.shape[0] < 3:
        return None
    apart, together = np.std(profits, axis=0, ddof=1), np.std(np.sum(profits, axis=1), ddof=1)
    return _ratio(np.sum(apart), together) if together > 1e-30 else None


def win_rate(trade_profits: Sequence[float]) -> float | None:
    """Share of closed trades that made money."""
    return sum(profit > 0 for profit in trade_profits) / len(trade_profits) if trade_profits else None


def profit_factor(trade_profits: Sequence[float]) -> float | None:
    """Money won over money lost. None without a losing trade."""
    lost = -sum(profit for profit in trade_profits if profit < 0)
    return _ratio(sum(profit for profit in trade_profits if profit > 0), lost)


def exposure(gross_exposure: Array, equity: Array) -> float | None:
    """Mean gross exposure as a fraction of equity: 0.4 had two fifths of the equity at work, on average."""
    return _defined(np.mean(gross_exposure / equity)) if equity.size and np.all(equity > 0) else None


def turnover(traded: Array, equity: Array, annualization: float) -> float | None:
    """Traded notional per year as a multiple of equity; a purchase and its sale count twice."""
    return _defined(np.mean(traded / equity) * annualization) if equity.size and np.all(equity > 0) else None


def _ratio(numerator: Number, denominator: Number) -> float | None:
    return _defined(numerator / denominator) if denominator > 0 else None


def _defined(value: Number) -> float | None:
    return float(value) if np.isfinite(value) else None
