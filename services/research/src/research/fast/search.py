"""Where a run goes on: the next slice at which something may happen, by the states of the cores after the last one."""

from __future__ import annotations

from bisect import bisect_right
from math import inf
from typing import Final

import numpy as np

from common.model.time import NS_PER_DAY, Timeframe
from common.quant.kernel import Floats, Ints
from execution import quiet as execution_quiet
from execution.settings import Settings as ExecutionSettings
from portfolio.quiet import Quiet as QuietPortfolio
from research.backtest import Operator
from research.fast import scan
from research.fast.book import Book
from research.fast.desk import Desk, Views
from research.fast.market import Market
from risk_guardian.quiet import Quiet as QuietGuardian

_TOLERANCE: Final = 1e-9  # VaR this close to an edge is looked at by the guardian itself


class Search:
    """`equity` is float64[slices]: the scan fills it for the slices it passes, as far as something is held."""

    def __init__(
        self,
        market: Market,
        views: Views,
        desk: Desk,
        book: Book,
        *,
        settings: ExecutionSettings,
        operator: Operator,
        equity: Floats,
    ) -> None:
        self._market, self._views, self._desk, self._book = market, views, desk, book
        self._settings, self._operator, self._equity = settings, operator, equity
        self._forced: list[int] = _forced(market).tolist()
        self._spoken: list[int] = views.steps.tolist()

    def after(self, index: int) -> int:
        """The next slice that has to be handled after `index`."""
        desk, market = self._desk, self._market
        stop = _after(self._forced, index, len(market.ts))
        if stop <= index + 1:
            return stop
        ledger = desk.execution.state.ledger
        execution_ns = execution_quiet.quiet(desk.execution.state, self._settings)
        if execution_ns is None or ledger != desk.guardian.state.ledger:
            return index + 1
        stop = self._heard(index, stop)
        if stop <= index + 1:
            return stop
        portfolio, guardian = desk.portfolio.quiet(ledger), desk.guardian.quiet()
        if portfolio is None or guardian is None:
            return index + 1
        until_ns = min(execution_ns, portfolio.until_ns, guardian.until_ns, self._operator.due_ns)
        if until_ns <= market.ts[stop - 1]:
            stop = int(market.ts.searchsorted(until_ns))
        for series in portfolio.series:
            stop = min(stop, self._closes_next(index, *series))
        return self._scan(index, stop, portfolio, guardian) if stop > index + 1 else index + 1

    def _heard(self, index: int, stop: int) -> int:
        """The first slice in which a signal is more to the portfolio than something to remember; `stop` if there is none before."""
        spoken, place = self._spoken, bisect_right(self._spoken, index)
        while place < len(spoken) and spoken[place] < stop:
            if not all(map(self._desk.portfolio.only_hears, self._views.signals(spoken[place]))):
                return spoken[place]
            place += 1
        return stop

    def _closes_next(self, index: int, instrument_id: str, timeframe: Timeframe) -> int:
        """The next slice in which a bar of the series closes."""
        row = self._book.rows[instrument_id]
        is_base = self._market.base_timeframes[row] is timeframe
        steps = self._market.base[row].step if is_base else self._market.coarse[row, timeframe].step
        place = int(np.searchsorted(steps, index, side="right"))
        return int(steps[place]) if place < steps.size else len(self._market.ts)

    def _scan(self, index: int, stop: int, portfolio: QuietPortfolio, guardian: QuietGuardian) -> int:
        market, book = self._market, self._book
        by, of = scan.fresh(len(book.rows))
        book.lay_out(self._desk.guardian.state.ledger, by, of)
        _enter_portfolio(portfolio, book, by, of)
        _enter_guardian(guardian, by, of)
        first = index + 1
        while True:
            first, found = scan.scan(
                first,
                stop,
                market.close,
                market.high,
                market.low,
                book.px,
                book.quote,
                book.inverse,
                by,
                of,
                self._equity,
            )
            if found != scan.VAR or not self._var_holds(first, guardian, by, of):
                return int(first)

    def _var_holds(self, index: int, guardian: QuietGuardian, by: Floats, of: Floats) -> bool:
        """Whether VaR is in its band at this slice; if so it is known from here on."""
        assert guardian.var is not None
        weights = by[scan.QTY] * self._book.worth(index, self._market.close) / self._equity[index]
        var, band = self._desk.guardian.var_at(np.where(by[scan.QTY] == 0.0, 0.0, weights)), guardian.var.band
        if var is None:
            return False
        room = min(var - band.low, band.high - var) - _TOLERANCE
        by[scan.WEIGHT], of[scan.VAR_ROOM] = weights, room
        return room > 0


def _after(rising: list[int], index: int, end: int) -> int:
    place = bisect_right(rising, index)
    return rising[place] if place < len(rising) else end


def _forced(market: Market) -> Ints:
    """The slices that are handled in any case: the first and the last of every UTC day, those with a 1d bar."""
    days = (market.ts - 1) // NS_PER_DAY
    changes = np.flatnonzero(np.diff(days))
    daily = [
        bars.step
        for frame, bars in (
            *zip(market.base_timeframes, market.base, strict=True),
            *((frame, bars) for (_, frame), bars in market.coarse.items()),
        )
        if frame is Timeframe.D1
    ]
    ends = np.array([0, len(market.ts) - 1], dtype=np.int64)
    return np.unique(np.concatenate([ends, changes, changes + 1, *daily]))


def _enter_portfolio(quiet: QuietPortfolio, book: Book, by: Floats, of: Floats) -> None:
    for instrument_id, edges in quiet.edges.items():
        row = book.rows[instrument_id]
        by[scan.STOP_LOW, row], by[scan.STOP_HIGH, row] = edges.low, edges.high
        by[scan.BELOW, row], by[scan.ABOVE, row] = edges.below, edges.above
    for instrument_id, qty in quiet.waiting.items():
        by[scan.WAITING, book.rows[instrument_id]] = qty
    of[scan.MIN_EQUITY] = quiet.min_equity
    of[scan.MIN_NOTIONAL] = quiet.min_notional if quiet.waiting else inf


def _enter_guardian(quiet: QuietGuardian, by: Floats, of: Floats) -> None:
    of[scan.PEAK], of[scan.OPENING] = quiet.peak, quiet.opening
    of[scan.DRAWDOWN_LOW], of[scan.DRAWDOWN_HIGH] = quiet.drawdown
    of[scan.LOSS_HIGH] = quiet.daily_loss.high
    if (watch := quiet.volatility) is not None:
        of[scan.VOLATILITY_LOW], of[scan.VOLATILITY_HIGH] = watch.band
        of[scan.VOLATILITY_DAYS] = watch.short
        by[scan.SQUARES], by[scan.BUT_OLDEST] = watch.squares, watch.but_oldest
        by[scan.CLOSES], by[scan.NORMAL] = watch.closes, watch.normal
    if (var := quiet.var) is not None:
        by[scan.WEIGHT], by[scan.SLOPE] = var.weights, var.slope
        of[scan.VAR_ROOM] = max(min(var.var - var.band.low, var.band.high - var.var) - _TOLERANCE, 0.0)
