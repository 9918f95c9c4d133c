"""The backtest that skips what changes nothing.

Regime and signals do not depend on the book: `Market` and `Opinions` know them for the whole run. Portfolio, guardian and execution are
the very cores that run live. They answer the slices at which something can happen; in between, a compiled scan looks for the next
such slice, and the cores catch up with what has passed. Orders, fills, denials, ladders and equity are those of the plain run, bit for
bit. Of slices that are skipped no message is said. Reports on which nothing that trades depends (RiskMeasured, StressTested, and the
warnings that follow from those) are left out, but for the measures at the end of the run.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from common.core import Core
from common.lockstep import Lockstep
from common.messages.base import Message
from common.messages.market_data import MarketSlice
from common.messages.regime import RegimeStep
from common.messages.signals import SignalsStep
from common.model.account import Account
from common.runtime.settings import section
from execution.settings import Settings as ExecutionSettings
from portfolio.settings import Settings as PortfolioSettings
from research.backtest import Operator, answer, cores
from research.fast.book import Book, is_covered
from research.fast.catch_up import CatchUp
from research.fast.desk import Desk, Stretch, Views
from research.fast.market import Market, load_market
from research.fast.opinions import load_opinions
from research.fast.search import Search

__all__ = ["Engine", "Stretch", "fast"]


class _Said:
    """Stands in the place of a core whose messages are known."""

    state: Any = None

    def __init__(self, views: Views) -> None:
        self._views = views

    def pending(self) -> Sequence[Any]:
        return ()


class _Regime(_Said):
    def handle(self, message: Message) -> Sequence[Message]:
        if not isinstance(message, MarketSlice):
            return ()
        readings = self._views.readings(message.step - 1)
        return (RegimeStep(ts_event=message.ts_event, book=message.book, step=message.step, readings=readings),)


class _Signals(_Said):
    def handle(self, message: Message) -> Sequence[Message]:
        if not isinstance(message, RegimeStep):
            return ()
        signals = self._views.signals(message.step - 1)
        return (SignalsStep(ts_event=message.ts_event, book=message.book, step=message.step, signals=signals),)


class Engine:
    """One run. `cores` are those of the plain run."""

    def __init__(
        self, config: Mapping[str, Any], market: Market, views: Views, cores: Mapping[str, Core], operator: Operator
    ) -> None:
        settings, currency = (
            section(config, "execution", ExecutionSettings),
            section(config, "account", Account).currency,
        )
        self._market, self._operator = market, operator
        self._desk = desk = Desk.of(cores)
        self._system = Lockstep({**cores, "regime": _Regime(views), "signals": _Signals(views)}, answer)
        book, equity = Book(market, currency), np.zeros(len(market.ts))
        self._search = Search(market, views, desk, book, settings=settings, operator=operator, equity=equity)
        self._catch_up = CatchUp(
            market,
            views,
            desk,
            book,
            settings=settings,
            of_portfolio=section(config, "portfolio", PortfolioSettings),
            currency=currency,
            equity=equity,
        )
        self._quarantined = sorted(market.quarantined)
        desk.guardian.leave_out_reports()

    def run(self) -> Iterator[Message | Stretch]:
        """Every message of the slices that are handled, in tape order, and a record of what was skipped between them."""
        market = self._market
        for message in self._system.run(market.opening()):
            self._operator.see(message)
            yield message
        index = 0
        while index < len(market.ts):
            yield from market.quarantined.get(index, ())
            yield from self._handle(index)
            after = self._search.after(index)
            if after > index + 1:
                yield from self._refused(index + 1, after)
                yield self._catch_up.skip(index + 1, after)
            index = after
        yield self._desk.guardian.measured()
        yield from market.quarantined.get(len(market.ts), ())
        yield market.ended

    def _handle(self, index: int) -> Iterator[Message]:
        source = self._operator.beside(self._market.at(index))
        for message in self._system.run(source):
            self._operator.see(message)
            yield message
        if (equity := self._desk.portfolio.state.equity) is not None:
            self._catch_up.see(float(equity))

    def _refused(self, first: int, stop: int) -> Iterator[Message]:
        """What market data says of rows it refused, of slices that are skipped."""
        for key in self._quarantined[bisect_left(self._quarantined, first) : bisect_left(self._quarantined, stop)]:
            yield from self._market.quarantined[key]


def fast(config: Mapping[str, Any], *, resume_after_days: int | None = None) -> Iterator[Message | Stretch] | None:
    """The run that `config` names, or None where only the plain one can do it: data with ticks, execution algorithms, a strategy
    that fails, prices beyond the exactness of floats. Raises ConfigError and DataError.
    """
    settings = section(config, "execution", ExecutionSettings)
    if settings.algorithms.enabled:
        return None
    market = load_market(config)
    if market is None or not len(market.ts) or not is_covered(market, section(config, "account", Account).currency):
        return None
    views = load_opinions(config, market)
    if views is None:
        return None
    return Engine(config, market, views, cores(config), Operator(resume_after_days)).run()
