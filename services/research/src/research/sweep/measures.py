"""What the books of a sweep amount to: the metrics of a run, for each configuration and span."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import msgspec
import numpy as np

from common.quant.kernel import Floats
from research.sweep.book import (
    CASH,
    DOWNSIDE,
    FEES,
    FINANCING,
    GAINED,
    KEEP,
    LOST,
    MARK,
    POS,
    RATE,
    SQUARES,
    STRESSED,
    SUM,
    TRADES,
    WINS,
)
from research.sweep.grid import Configuration
from research.sweep.run import Outcome
from research.sweep.series import Series, Terms


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Of one configuration over one span of days. Ratios are annual and on daily returns, `max_drawdown` is a positive fraction
    of the equity at every bar's close. `stress_resilience` is the annual Sharpe-like mean on the tenth of days with the most
    volatile prices less that on the others, both over the deviation of all days: below 0 the configuration is worse off
    where it is stormy. None is undefined. `fees` and `financing` are what was paid, in the account's currency; financing below 0
    was received, and is in no trade's profit.
    """

    equity: float
    days: int
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    profit_factor: float | None
    win_rate: float | None
    trades: int
    fees: float
    financing: float
    stress_resilience: float | None = None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """`out_of_sample` is None where nothing was held back."""

    name: str
    in_sample: Span
    out_of_sample: Span | None


def measures(
    outcome: Outcome, series: Series, configurations: Sequence[Configuration], terms: Terms
) -> tuple[Measured, ...]:
    """In the order of the configurations. The span held back begins with the positions and the equity of the one before."""
    rows = np.flatnonzero(series.ts <= outcome.split_ns) if outcome.split_ns is not None else np.arange(series.ts.size)
    result = []
    for c, configuration in enumerate(configurations):
        first = _span(
            outcome.books[:, c], series, int(rows[-1]) if rows.size else 0, outcome.days, outcome.stress_days, terms
        )
        later = None
        if outcome.later_days:
            later = _span(outcome.later[:, c], series, series.ts.size - 1, outcome.later_days, 0, terms)
        result.append(Measured(name=configuration.name, in_sample=first, out_of_sample=later))
    return tuple(result)


def _span(book: Floats, series: Series, row: int, days: int, stress_days: int, terms: Terms) -> Span:
    total, annual = float(book[SUM]), series.annualization
    variance = (float(book[SQUARES]) - total * total / days) / (days - 1) if days > 1 else 0.0
    moves = variance > 1e-30
    spread = sqrt(variance) if moves else 0.0
    downside = sqrt(float(book[DOWNSIDE]) / days) if days else 0.0
    calm_days, resilience = days - stress_days, None
    if moves and stress_days and calm_days:
        stressed = float(book[STRESSED])
        resilience = (stressed / stress_days - (total - stressed) / calm_days) / spread * sqrt(annual)
    trades, lost = int(book[TRADES]), float(book[LOST])
    rate = float(series.prices[RATE, row])
    return Span(
        equity=terms.cash + float((book[CASH] + book[POS] * series.prices[MARK, row]) * rate),
        days=days,
        sharpe=total / days / spread * sqrt(annual) if moves else None,
        sortino=total / days / downside * sqrt(annual) if moves and downside > 0 else None,
        max_drawdown=1.0 - float(book[KEEP]),
        profit_factor=float(book[GAINED]) / lost if lost > 0 else None,
        win_rate=float(book[WINS]) / trades if trades else None,
        trades=trades,
        fees=float(book[FEES]),
        financing=float(book[FINANCING]),
        stress_resilience=resilience,
    )
