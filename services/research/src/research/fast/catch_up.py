"""How the cores catch up with slices that were skipped: what came in them, taken in at once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial

import numpy as np

from common.messages.signals import Signal
from common.model.time import Timeframe
from common.quant.kernel import Floats, Ints
from execution import quiet as execution_quiet
from execution.financing import Financing
from execution.settings import Settings as ExecutionSettings
from portfolio.quiet import Passed as PassedPortfolio
from portfolio.settings import Settings as PortfolioSettings
from research.fast import scan
from research.fast.book import Book
from research.fast.desk import Desk, Stretch, Views
from research.fast.market import Market
from risk_guardian.quiet import Passed as PassedGuardian


class CatchUp:
    """`equity` is what `search.Search` has filled."""

    def __init__(
        self,
        market: Market,
        views: Views,
        desk: Desk,
        book: Book,
        *,
        settings: ExecutionSettings,
        of_portfolio: PortfolioSettings,
        currency: str,
        equity: Floats,
    ) -> None:
        self._market, self._views, self._desk, self._book = market, views, desk, book
        self._of_portfolio, self._currency, self._equity = of_portfolio, currency, equity
        self._financing = Financing(settings.financing) if settings.financing.enabled else None
        self._points = np.zeros(len(market.ts), dtype=np.int64)
        self._worst, self._peak = 0.0, 0.0
        self._spoken: list[int] = views.steps.tolist()
        self._remembered = [  # series whose bars the portfolio keeps
            (one.instrument_id, one.timeframe, one.bars)
            for one in market.contents.series
            if of_portfolio.exits.enabled or one.timeframe is of_portfolio.correlation_timeframe
        ]
        self._traded = [bool(np.any(bars.volume)) for bars in market.base]
        self._quoted = [_quoted(bars.step, bars.spread_close) for bars in market.base]

    def see(self, equity: float) -> None:
        """The equity at a slice that was handled."""
        self._peak = max(self._peak, equity)
        self._worst = max(self._worst, (self._peak - equity) / self._peak if self._peak > 0 else 0.0)

    def skip(self, first: int, stop: int) -> Stretch:
        """With slices `first` to before `stop`."""
        market, ids = self._market, tuple(self._book.rows)
        closes, closed_ns, quoted_ns = dict[str, float](), dict[str, int](), dict[str, int]()
        volumes, count = dict[str, Sequence[float]](), 0
        for row, (name, bars) in enumerate(zip(ids, market.base, strict=True)):
            of = bars.rows(first, stop)
            if of.stop == of.start:
                continue
            count += of.stop - of.start
            closes[name], closed_ns[name] = float(bars.close[of.stop - 1]), int(market.ts[bars.step[of.stop - 1]])
            if self._traded[row]:
                volumes[name] = bars.volume[of].tolist()
            last = int(self._quoted[row].searchsorted(stop)) - 1
            if last >= 0 and self._quoted[row][last] >= first:
                quoted_ns[name] = int(market.ts[self._quoted[row][last]])
        turns, equity = self._equities(first, stop)
        signals = self._signals(first, stop)
        ts = int(market.ts[stop - 1])
        execution_quiet.catch_up(self._desk.execution.state, self._financing, stop, ts)
        self._desk.portfolio.catch_up(self._for_portfolio(first, stop, closes, equity, signals))
        self._desk.guardian.catch_up(
            PassedGuardian(
                step=stop,
                ts=ts,
                pace_ns=ts - int(market.ts[stop - 2]),
                closes=closes,
                closed_ns=closed_ns,
                quoted_ns=quoted_ns,
                volumes=volumes,
                highest=max([*turns, equity]),
                lowest=min([*turns, equity]),
                equity=equity,
            )
        )
        for one in turns:
            self.see(float(one))
        return Stretch(stop - first, count, len(signals), closes, turns, partial(self._views.latest, stop - 1))

    def _signals(self, first: int, stop: int) -> Sequence[Signal]:
        start, end = bisect_left(self._spoken, first), bisect_left(self._spoken, stop)
        return [signal for index in self._spoken[start:end] for signal in self._views.signals(index)]

    def _for_portfolio(
        self, first: int, stop: int, closes: Mapping[str, float], equity: Decimal, signals: Sequence[Signal]
    ) -> PassedPortfolio:
        market, settings = self._market, self._of_portfolio
        correlated: dict[str, Sequence[tuple[int, float]]] = {}
        series: dict[tuple[str, Timeframe], Sequence[float]] = {}
        for name, frame, bars in self._remembered:
            of = bars.rows(first, stop)
            if of.stop == of.start:
                continue
            if frame is settings.correlation_timeframe:
                times = market.ts[bars.step[of]].tolist()
                correlated[name] = list(zip(times, bars.close[of].tolist(), strict=True))
            if settings.exits.enabled:
                series[name, frame] = bars.close[of][-(settings.exits.momentum_bars + 2) :].tolist()
        readings = self._views.latest(stop - 1) if settings.exits.enabled else ()
        return PassedPortfolio(int(market.ts[stop - 1]), equity, closes, correlated, series, readings, signals)

    def _equities(self, first: int, stop: int) -> tuple[list[Decimal], Decimal]:
        """Exact ones at which it may be largest or smallest, or turn, in order of time; and the last."""
        state = self._desk.guardian.state
        held = [name for name, position in state.ledger.positions.items() if position.signed_qty]
        if not held and set(state.ledger.cash) <= {self._currency}:
            assert state.equity is not None
            return [], state.equity
        high = float(state.peak_equity)
        found = scan.turning_points(self._equity, first, stop, high, self._peak, self._worst, self._points)
        exact = [self._exact(index) for index in self._points[:found].tolist()]
        return exact, self._exact(stop - 1)

    def _exact(self, index: int) -> Decimal:
        """The equity at slice `index`, as the guardian's ledger has it."""
        state, market = self._desk.guardian.state, self._market
        prices = {
            name: state.instruments[name].round_price(close)
            for name, close in zip(self._book.rows, market.close[index].tolist(), strict=True)
            if close == close
        }
        equity = state.ledger.equity(state.instruments, prices, self._book.conversion)
        assert equity is not None
        return equity


def _quoted(steps: Ints, spread: Floats) -> Ints:
    """The slices in which bars with a spread close."""
    return steps[~np.isnan(spread)]
