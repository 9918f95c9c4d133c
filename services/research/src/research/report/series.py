"""Curves of a run by UTC day, and their shorter forms for drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.model.instrument import Instrument
from common.model.money import Conversion
from common.model.time import NS_PER_DAY, to_datetime
from common.quant import performance

Floats = NDArray[np.float64]
Days = NDArray[np.int64]  # UTC days since 1970
_BUCKETS: Final = 500


def days_of(ts_ns: NDArray[np.int64]) -> Days:
    """A midnight belongs to the day that it closes."""
    return (ts_ns - 1) // NS_PER_DAY


def buy_and_hold(
    closes: Mapping[str, Mapping[int, float]],
    instruments: Mapping[str, Instrument],
    currency: str,
    days: Days,
    cash: float,
) -> Floats | None:
    """Equity of `cash` split equally over the instruments, each bought at its first close and never sold: no cost, no
    interest. Cash waits for what is not quoted yet. None where nothing has a price in the account currency.
    """
    conversion = Conversion(currency, instruments.values())
    filled = {name: forward(closes[name], days) for name in instruments if closes.get(name)}
    worth = rates(conversion, sorted({instruments[name].quote for name in filled}), filled, days.size)
    equity, held = np.full(days.size, cash), 0
    valued = {name: px * worth[instruments[name].quote] for name, px in filled.items()}
    known = {name: np.flatnonzero(np.isfinite(value)) for name, value in valued.items()}
    usable = [name for name, where in known.items() if where.size]
    for name in usable:
        first = known[name][0]
        units = cash / len(usable) / valued[name][first]
        profit = units * (filled[name] - filled[name][first]) * worth[instruments[name].quote]
        equity[first:] += np.nan_to_num(profit[first:])
        held += 1
    return equity if held else None


def forward(by_day: Mapping[int, float], days: Days) -> Floats:
    """The last close at or before each day; NaN before the first."""
    there = np.fromiter(by_day.keys(), dtype=np.int64, count=len(by_day))
    values = np.fromiter(by_day.values(), dtype=np.float64, count=len(by_day))
    at = np.searchsorted(there, days, side="right") - 1
    return np.where(at >= 0, values[np.maximum(at, 0)], np.nan)


def rates(
    conversion: Conversion, currencies: Sequence[str], filled: Mapping[str, Floats], size: int
) -> dict[str, Floats]:
    """Account currency for one unit of each of `currencies` by day; NaN where unknown."""
    columns = {name: px.tolist() for name, px in filled.items()}
    found = {currency: np.full(size, np.nan) for currency in currencies}
    for at in range(size):
        px = {name: Decimal(repr(column[at])) for name, column in columns.items() if column[at] == column[at]}
        for currency, by_day in found.items():
            rate = conversion.rate(currency, px)
            by_day[at] = np.nan if rate is None else float(rate)
    return found


def drawdown(equity: Floats) -> Floats:
    """Loss from the highest so far, a positive fraction."""
    peaks = np.maximum.accumulate(equity)
    result: Floats = 1.0 - equity / peaks
    return result


class Fall(NamedTuple):
    """From a peak down and back; `recovered` None where the end comes first. Indices into the curve."""

    depth: float
    peak: int
    trough: int
    recovered: int | None


def falls(equity: Floats, most: int = 5) -> list[Fall]:
    """The deepest drawdowns that do not overlap, deepest first."""
    down = drawdown(equity) > 0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], down, [False]))))
    found = []
    for first, after in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        trough = first + int(np.argmin(equity[first:after]))
        depth = float(1.0 - equity[trough] / equity[first - 1])
        found.append(Fall(depth, first - 1, trough, after if after < equity.size else None))
    return sorted(found, key=lambda fall: (-fall.depth, fall.peak))[:most]


def monthly(ts_ns: Sequence[int], equity: Sequence[float], start: float) -> dict[int, dict[int, float]]:
    """Returns by year and month (1 to 12; 0 is the whole year) as fractions; together they compound to last over `start`."""
    ends: dict[tuple[int, int], float] = {}
    for ts, value in zip(ts_ns, equity, strict=True):
        day = to_datetime(ts - 1)
        ends[day.year, day.month] = value
    table: dict[int, dict[int, float]] = {}
    before = year_before = start
    for (year, month), value in ends.items():
        if year not in table:
            table[year], year_before = {}, before
        table[year][month] = value / before - 1
        table[year][0] = value / year_before - 1
        before = value
    return table


def rolling_sharpe(returns: Floats, window: int, annualization: int) -> Floats:
    """Annual Sharpe ratio of the `window` returns up to each; NaN before there are as many, and where they do not differ."""
    result = np.full(returns.size, np.nan)
    if returns.size < window:
        return result
    views = np.lib.stride_tricks.sliding_window_view(returns, window)
    spread = views.std(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = views.mean(axis=1) / spread * np.sqrt(annualization)
    result[window - 1 :] = np.where(spread > 1e-12, ratio, np.nan)
    return result


def thinned(*curves: Floats, buckets: int = _BUCKETS) -> NDArray[np.int64]:
    """Indices that keep the first, the last and in each of `buckets` stretches the extremes of every curve."""
    size = curves[0].size
    if size <= 2 * buckets:
        return np.arange(size)
    edges = np.linspace(0, size, buckets + 1).astype(np.int64)
    kept = {0, size - 1}
    for first, after in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        for curve in curves:
            part = np.nan_to_num(curve[first:after])
            kept.update((first + int(part.argmin()), first + int(part.argmax())))
    return np.array(sorted(kept), dtype=np.int64)


def headline(returns: Floats, annualization: int) -> dict[str, Any]:
    """Total return, annual return, Sharpe and worst drawdown (<= 0) of one stretch."""
    return {
        "total": performance.cum_returns_final(returns),
        "annual": performance.annual_return(returns, annualization),
        "sharpe": performance.sharpe_ratio(returns, annualization),
        "max_drawdown": performance.max_drawdown(returns),
    }
