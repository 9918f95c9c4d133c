"""The guardian's measures of risk (RSK-03, RSK-10, RSK-11), from its own prices and positions.

`Measures` keeps nothing that matters: what must survive is in `state.measures` (a `history.Memory`), the rest is speed. In the
guardian's core:

    define(state)              once instruments are known (InstrumentsDefined)
    observe(state, slice)      every slice, first thing
    evaluate(state)            every execution step, after `state.equity` is known -> Reading, for the ladders
    on_targets(state, step)    every portfolio step, before its orders are judged
    after(state)               every portfolio step -> After, for the pre-trade checks
    measured(state)            -> RiskMeasured, when it is to be said
    stressed(state, asked_by)  -> StressTested, on a schedule and at RunStress
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.messages.market_data import MarketSlice
from common.messages.portfolio import PortfolioStep
from common.messages.risk import RiskMeasured, StressTested
from common.quant import tail_risk
from common.quant.tail_risk import Tail
from risk_guardian import exposures, history
from risk_guardian.after import After, Standing, stand
from risk_guardian.bound import Bound
from risk_guardian.history import History
from risk_guardian.market import Market
from risk_guardian.methods import METHODS, MeasureSettings, slope_of, tail_of
from risk_guardian.scenarios import Scenario
from risk_guardian.state import State

__all__ = ["MeasureSettings", "Measures", "Reading"]

Floats = NDArray[np.float64]

LEVELS: Final = {"95": 0.95, "99": 0.99}


class Reading(NamedTuple):
    """What the ladders watch. None is undefined: too little history, or no equity. A flat book has no VaR to lose: 0.

    `volatility` is current over normal, by weight of what is held, of the whole market when flat. `correlation` is the mean
    absolute correlation of the market or of what is held, whichever is higher. `stress` is the loss in the worst scenario.
    """

    volatility: float | None = None
    var_95_1d: float | None = None
    correlation: float | None = None
    stress: float | None = None
    worst_scenario: str = ""
    heat: float | None = None


class Measures:
    def __init__(
        self,
        settings: MeasureSettings,
        account_currency: str,
        scenarios: Mapping[str, Scenario],
        sectors: Mapping[str, str] | None = None,
    ) -> None:
        """`scenarios` from `scenarios.load`; `sectors` maps symbols to sectors."""
        self._settings, self._currency, self._scenarios = settings, account_currency, scenarios
        self._sectors = sectors or {}
        self._bound: Bound | None = None
        self._market: Market | None = None

    # --- what comes in -----------------------------------------------------------------------------------------------

    def define(self, state: State) -> None:
        """Lays out the memory for `state.instruments`; nothing changes when they are those it has."""
        if tuple(state.measures.history.rows) != tuple(state.instruments):
            history.define(state.measures, state.instruments, self._settings.window, self._settings.volume_days)

    def observe(self, state: State, message: MarketSlice) -> None:
        history.observe(state.measures, message)

    def on_targets(self, state: State, message: PortfolioStep) -> None:
        """Remembers who wants how much of what, and what would be lost at the stops."""
        stakes = state.measures.stakes
        for target in message.targets:
            if target.signed_qty:
                stakes[target.instrument_id] = history.stake_of(target)
            elif before := stakes.get(target.instrument_id):
                before.risk = 0.0

    # --- what comes out ----------------------------------------------------------------------------------------------

    def evaluate(self, state: State, *, stressed: bool = True) -> Reading:
        """The book of now, where nobody asks for it not `stressed`. Also makes it the book that tomorrow's back-test begins with."""
        bound, market = self._of(state)
        test = state.measures.backtest
        if not bound.held.size:
            test.next_weights, test.next_var = bound.flat, 0.0
            return Reading(market.ratio(None), 0.0, market.mean_correlation, 0.0, "", 0.0)
        weights = self._weights(state, bound)
        if weights is None:
            test.next_weights, test.next_var = bound.flat, None
            return Reading(market.ratio(None), None, market.mean_correlation)
        tail = self._tail(self._book_returns(state, bound), 0.95)
        var = max(tail.var, 0.0) if tail else None
        test.next_weights, test.next_var = weights, var
        correlation, heat = market.correlation_of(bound.held), self._heat(state, bound)
        if not stressed:
            return Reading(market.ratio(weights), var, correlation, heat=heat)
        scenario, loss = bound.stress.worst(weights, market.sigma) or ("", 0.0)
        return Reading(market.ratio(weights), var, correlation, loss, scenario, heat)

    def after(self, state: State) -> After | None:
        """For the checks on orders; None without a positive equity. Good until the next fill, price, target or end of an order."""
        if state.equity is None or state.equity <= 0:
            return None
        bound, market = self._of(state)
        return After(
            state.measures.history,
            market,
            bound.stress,
            self._tail,
            standing=self._standing(state, bound, state.equity),
            working=state.working,
            heat=exposures.heat_wanted(state.measures.stakes, float(state.equity)),
        )

    def measured(self, state: State) -> RiskMeasured:
        """Every measure of the book of now."""
        bound, _ = self._of(state)
        weights = self._weights(state, bound)
        returns = None if weights is None else self._book_returns(state, bound)
        tails = {
            f"{method}_{name}": None if returns is None else tail_of(returns, level, method, self._settings)
            for name, level in LEVELS.items()
            for method in METHODS
        }
        named = {} if weights is None else self._named(state, weights)
        parts = None if weights is None else self._components(state, bound, weights)
        test = state.measures.backtest
        kupiec = tail_risk.kupiec(test.days, test.breaches, 0.95)
        independence = tail_risk.christoffersen(test.n00, test.n01, test.n10, test.n11)
        return RiskMeasured(
            ts_event=state.ts,
            book=state.book,
            step=state.step,
            var={name: tail.var if tail else None for name, tail in tails.items()},
            es={name: tail.es if tail else None for name, tail in tails.items()},
            component_var=dict(zip(named, parts.component.tolist(), strict=True)) if parts else {},
            marginal_var=dict(zip(named, parts.marginal.tolist(), strict=True)) if parts else {},
            by_currency=exposures.by_currency(state.instruments, named),
            by_sector=exposures.by_sector(state.instruments, named, self._sectors),
            by_strategy=exposures.by_strategy(named, state.measures.stakes),
            heat=self._heat(state, bound),
            concentration=exposures.concentration(named),
            liquidity_days=self._liquidity_days(state, bound),
            var_breaches=test.breaches,
            var_days=test.days,
            kupiec_p=kupiec.p_value if kupiec else None,
            christoffersen_p=independence.p_value if independence else None,
        )

    def stressed(self, state: State, asked_by: str) -> StressTested:
        """Every scenario on the book of now; without results where there is no equity or price to count in."""
        bound, market = self._of(state)
        weights = self._weights(state, bound)
        results = () if weights is None else bound.stress.results(weights, market.sigma)
        return StressTested(ts_event=state.ts, book=state.book, step=state.step, results=results, asked_by=asked_by)

    def volatility_of(self, state: State, instrument_id: str) -> float | None:
        """Daily deviation of an instrument's returns, a fraction: the larger of current and normal."""
        _, market = self._of(state)
        return _defined(float(market.sigma[state.measures.history.rows[instrument_id]]))

    def daily_volume(self, state: State, instrument_id: str) -> float | None:
        """Units traded on an average one of the last days that are over; None where no volume is known."""
        past = state.measures.history
        days = past.volumes[past.rows[instrument_id], :-1]
        traded = days[days > 0]
        return float(np.add.reduce(traded)) / traded.size if traded.size else None

    # --- what a backtest asks that skips slices (quiet.py) ------------------------------------------------------------

    def market_of(self, state: State) -> Market:
        """Volatilities and correlations as of the last slice."""
        return self._of(state)[1]

    def slope_of_var(self, state: State) -> Floats:
        """By how much VaR at 95 % changes at most with each weight of what is held: float64[instruments]."""
        bound, _ = self._of(state)
        returns = self._held_returns(state, bound)
        if bound.slope_of is not returns:
            bound.slope_of, bound.slope = returns, np.zeros_like(bound.flat)
            bound.slope[bound.held] = slope_of(returns, self._settings.method)
        return bound.slope

    def var_at(self, state: State, weights: Floats) -> float | None:
        """As the ladders would see it if the weights of what is held were these, to within rounding."""
        bound, _ = self._of(state)
        returns = self._held_returns(state, bound)
        tail = self._tail(np.add.reduce(returns * weights[bound.held, None], axis=0), 0.95)
        return max(tail.var, 0.0) if tail else None

    # --- parts -------------------------------------------------------------------------------------------------------

    def _of(self, state: State) -> tuple[Bound, Market]:
        """What is derived from the state, made anew only where it changed."""
        bound, past = self._bound, state.measures.history
        if bound is None or bound.instruments is not state.instruments:
            self.define(state)
            past = state.measures.history
            bound = self._bound = Bound(state, self._currency, self._scenarios)
        if bound.quantities.update(state.ledger.positions):
            held = np.flatnonzero(bound.quantities.held)
            if (
                held.tobytes() != bound.held.tobytes()
            ):  # what depends on it alone is known as long as it is the same array
                bound.held, bound.returns = held, (-1, bound.returns[1])
        market = self._market
        if market is None or market.history is not past or market.version != past.version:
            market = self._market = self._look(past)
        return bound, market

    def _look(self, past: History) -> Market:
        settings = self._settings
        return Market(
            past,
            short=settings.short_window,
            normal=settings.normal_window,
            minimum=settings.min_observations,
            correlation_window=settings.correlation_window,
            threshold=settings.correlated_above,
        )

    def _standing(self, state: State, bound: Bound, equity: Decimal) -> Standing:
        """The book of now, made anew where quantities, prices, equity or returns have changed."""
        past, qty = state.measures.history, bound.quantities.held
        mark = (past.version, equity, past.now.tobytes())
        known = bound.standing
        if known is None or known.qty is not qty or bound.stood_at != mark:
            fraction = bound.values.units(past.now) / float(equity)
            known, bound.stood_at = stand(past, qty, fraction), mark
            bound.standing = known
        return known

    def _weights(self, state: State, bound: Bound) -> Floats | None:
        """None without a positive equity, or where something held has no price."""
        if state.equity is None or state.equity <= 0:
            return None
        weights = self._standing(state, bound, state.equity).book.weights
        return None if np.isnan(np.add.reduce(weights)) else weights

    def _book_returns(self, state: State, bound: Bound) -> Floats:
        """What the book of now would have made on each day that all of it has returns of; all of the window when flat."""
        assert bound.standing is not None
        _, returns, days = bound.standing.book
        return returns[returns.size - days :]

    def _held_returns(self, state: State, bound: Bound) -> Floats:
        past = state.measures.history
        version, returns = bound.returns
        if version != past.version:
            days = min((past.counts[row] for row in bound.held), default=past.returns.shape[1])
            returns = past.returns[bound.held][:, past.returns.shape[1] - days :]
            bound.returns = past.version, returns
        return returns

    def _tail(self, returns: Floats, level: float, /) -> Tail | None:
        return tail_of(returns, level, self._settings.method, self._settings)

    def _components(self, state: State, bound: Bound, weights: Floats) -> tail_risk.Components | None:
        returns = self._held_returns(state, bound)
        if not bound.held.size or returns.shape[1] < self._settings.min_observations:
            return None
        return tail_risk.components(weights[bound.held], returns, LEVELS["95"])

    def _named(self, state: State, weights: Floats) -> dict[str, float]:
        return {name: float(weights[row]) for name, row in state.measures.history.rows.items() if weights[row]}

    def _held(self, state: State, bound: Bound) -> dict[str, float]:
        held = bound.quantities.held
        return {name: float(held[row]) for name, row in state.measures.history.rows.items() if held[row]}

    def _heat(self, state: State, bound: Bound) -> float | None:
        if state.equity is None or state.equity <= 0:
            return None
        return exposures.heat_held(self._held(state, bound), state.measures.stakes, float(state.equity))

    def _liquidity_days(self, state: State, bound: Bound) -> float | None:
        held = self._held(state, bound)
        day = state.measures.history.day
        if bound.volumes_of != day:  # volumes of complete days change with the day
            bound.volumes_of, bound.volumes = day, {}
        volumes = bound.volumes
        for name in held:
            if name not in volumes:
                volumes[name] = self.daily_volume(state, name)
        return exposures.liquidity_days(held, volumes, self._settings.participation)


def _defined(value: float) -> float | None:
    return value if value == value else None
