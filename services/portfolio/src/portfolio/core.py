"""Nets many opinions into one target book and proposes the orders that lead there."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from common.core import Effect
from common.messages.base import Message
from common.messages.control import InstrumentsDefined
from common.messages.market_data import Bar, MarketSlice
from common.messages.orders import ExecutionStep, Order, OrderDenied
from common.messages.portfolio import Contribution, PortfolioStep, Target
from common.messages.risk import RiskStep
from common.messages.signals import Signal, SignalsStep
from common.model.account import Account
from common.model.enums import DenyCode, Direction, Tier, TradingState
from common.model.ledger import Ledger
from common.model.money import ZERO, Conversion
from common.model.time import NS_PER_HOUR
from portfolio import sizing
from portfolio.orders import held_after_working, orders, target
from portfolio.settings import Settings
from portfolio.state import Holding, State

# Denials that pass by themselves: the same order is proposed again at the next step.
_PASSING: Final = frozenset(
    {
        DenyCode.TRADING_HALTED,
        DenyCode.WOULD_INCREASE,
        DenyCode.ORDER_RATE,
        DenyCode.STALE_PRICE,
        DenyCode.NO_PRICE,
        DenyCode.NO_EQUITY,
        DenyCode.MARKET_CLOSED,
        DenyCode.STALE_APPROVAL,
        DenyCode.GUARDIAN_SILENT,
        DenyCode.INTENT_NOT_RECORDED,
    }
)


class Portfolio:
    """One book in one account. Same inputs, same outputs.

    Several opinions about one instrument are netted: their contributions add up to one target, and one order leads there.
    The book owns the exposure; each contribution says whose idea how much of it is.
    """

    def __init__(self, settings: Settings, account: Account) -> None:
        self._settings = settings
        self._account = account
        self.state = State()
        self._conversion = Conversion(account.currency, ())
        self._conversion_of = 0
        self._correlations: dict[tuple[str, str], float | None] = {}  # of this step; no memory, only speed

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        state = self.state
        match message:
            case MarketSlice():
                state.slices.append(message)
            case SignalsStep():
                state.signals.append(message)
                return self._when_complete()
            case ExecutionStep():
                state.executions.append(message)
                return self._when_complete()
            case RiskStep():
                state.cut = state.cut or message.exposure_factor < state.exposure_factor
                state.exposure_factor, state.stop_factor = message.exposure_factor, message.stop_factor
                state.trading = message.trading_state
            case OrderDenied():
                if message.code not in _PASSING and message.order.instrument_id in state.targets:
                    state.refused[message.order.instrument_id] = state.targets[message.order.instrument_id]
            case InstrumentsDefined():
                state.book = message.book
                state.instruments = {instrument.instrument_id: instrument for instrument in message.instruments}
        return ()

    def pending(self) -> Sequence[Effect]:
        return ()

    # --- the step ------------------------------------------------------------------------------------

    def _when_complete(self) -> Sequence[Message]:
        state = self.state
        if not (state.slices and state.signals and state.executions):
            return ()
        return [self._step(state.slices.pop(0), state.signals.pop(0), state.executions.pop(0))]

    def _step(self, slice_: MarketSlice, signals: SignalsStep, execution: ExecutionStep) -> PortfolioStep:
        state, conversion = self.state, self._conversions()
        base_bars = self._observe(slice_)
        ledger = Ledger(cash=execution.cash, positions={p.instrument_id: p for p in execution.positions})
        state.equity = ledger.equity(state.instruments, state.last_px, conversion)
        self._stop_out(base_bars)
        for signal in signals.signals:
            self._listen_to(signal)
        self._rebalance(slice_.ts_event)
        self._respect_total_risk()
        targets, proposed = self._move(slice_.ts_event, execution)
        exposures = ledger.exposures(state.instruments, state.last_px, conversion)
        return PortfolioStep(
            ts_event=slice_.ts_event,
            book=slice_.book,
            step=slice_.step,
            equity=state.equity,
            gross_exposure=sum((abs(value) for value in exposures.values()), ZERO),
            net_exposure=sum(exposures.values(), ZERO),
            total_risk=self._total_risk(),
            targets=tuple(targets),
            orders=tuple(proposed),
        )

    def _observe(self, slice_: MarketSlice) -> dict[str, Bar]:
        """Takes in prices and the returns for correlations; gives the bars that price and stop."""
        state, settings = self.state, self._settings
        self._correlations.clear()
        for bar in slice_.bars:
            if bar.base:
                state.last_px[bar.instrument_id] = state.instruments[bar.instrument_id].round_price(bar.close)
            if bar.timeframe is settings.correlation_timeframe:
                kept = state.closes.setdefault(bar.instrument_id, [])
                kept.append((slice_.ts_event, bar.close))
                del kept[: -(settings.correlation_window + 1)]
        for quote in slice_.quotes:
            mid = (quote.bid + quote.ask) / 2
            state.last_px[quote.instrument_id] = state.instruments[quote.instrument_id].round_price(mid)
        return {bar.instrument_id: bar for bar in slice_.bars if bar.base}

    # --- who owns how much ---------------------------------------------------------------------------

    def _stop_out(self, bars: dict[str, Bar]) -> None:
        """A share whose stop was touched is closed, and its opinion not heard again until it changes."""
        for holding in self.state.holdings.values():
            bar = bars.get(holding.signal.instrument_id)
            if bar is None or holding.contribution is None:
                continue
            signal, sign = holding.signal, holding.signal.direction.sign
            stop_px = signal.ref_px * (1 - sign * signal.stop_fraction * self.state.stop_factor)
            worst = bar.low if sign > 0 else bar.high
            if sign * (worst - stop_px) <= 0:
                holding.contribution, holding.stopped = None, True

    def _listen_to(self, signal: Signal) -> None:
        state = self.state
        key = f"{signal.strategy_id}|{signal.instrument_id}|{signal.timeframe}"
        before = state.holdings.pop(key, None)
        if signal.direction is Direction.FLAT:
            return
        if before and before.stopped and before.signal.direction is signal.direction:
            state.holdings[key] = Holding(signal=signal, stopped=True)  # new parameters are no new idea
            return
        state.holdings[key] = Holding(signal=signal, contribution=self._size(signal, self._room(signal.tier)))

    def _size(self, signal: Signal, room: Decimal) -> Contribution | None:
        state, settings = self.state, self._settings
        instrument = state.instruments[signal.instrument_id]
        px = state.last_px.get(signal.instrument_id)
        rate = self._conversions().rate(instrument.quote, state.last_px)
        if px is None or rate is None or state.equity is None:
            return None
        correlation = sizing.mean_correlation(
            signal.instrument_id, signal.direction.sign, state.targets, self._correlation
        )
        return sizing.contribution(
            signal,
            instrument=instrument,
            equity=state.equity,
            px=px,
            rate=rate,
            correlation=correlation,
            room=room,
            settings=settings,
        )

    def _correlation(self, a: str, b: str) -> float | None:
        pair = (a, b) if a < b else (b, a)
        if pair not in self._correlations:
            closes, window = self.state.closes, self._settings.correlation_window
            self._correlations[pair] = sizing.return_correlation(
                closes.get(pair[0], ()), closes.get(pair[1], ()), window
            )
        return self._correlations[pair]

    def _room(self, tier: Tier) -> Decimal:
        """Risk that a new share of `tier` may take: what the tier and the whole book have left."""
        if self.state.equity is None:
            return ZERO
        budget = self.state.equity * _exact(self._settings.max_total_risk)
        of_tier = budget * _exact(self._settings.allocation.get(tier, 0.0))
        return min(of_tier - self._total_risk(tier), budget - self._total_risk())

    def _total_risk(self, tier: Tier | None = None) -> Decimal:
        return sum(
            (
                holding.contribution.risk
                for holding in self.state.holdings.values()
                if holding.contribution and (tier is None or holding.signal.tier is tier)
            ),
            ZERO,
        )

    def _rebalance(self, ts: int) -> None:
        """Sizes every live opinion anew at its interval; what is off by less than the drift band is left alone."""
        state, settings = self.state, self._settings
        interval = settings.rebalance_hours * NS_PER_HOUR
        if ts // interval == state.rebalanced_ns // interval:
            return
        state.rebalanced_ns = ts
        for holding in state.holdings.values():
            if holding.stopped:
                continue
            had, risk = (old.signed_qty, old.risk) if (old := holding.contribution) else (ZERO, ZERO)
            new = self._size(holding.signal, self._room(holding.signal.tier) + risk)
            if new and abs(new.signed_qty - had) > _exact(settings.drift_band) * abs(had):
                holding.contribution = new

    def _respect_total_risk(self) -> None:
        """When equity shrank, all shares shrink with it: the sum of risks never exceeds the maximum (PFL-07)."""
        state = self.state
        if state.equity is None:
            return
        total = self._total_risk()
        allowed = max(state.equity, ZERO) * _exact(self._settings.max_total_risk)
        if total <= allowed:
            return
        state.cut = True
        # A little below the limit, so that the next small loss does not trade the whole book again.
        factor = allowed / total * Decimal("0.95")
        for holding in state.holdings.values():
            if holding.contribution is not None:
                instrument = state.instruments[holding.signal.instrument_id]
                holding.contribution = sizing.scaled(holding.contribution, factor, instrument)

    # --- orders --------------------------------------------------------------------------------------

    def _move(self, ts: int, execution: ExecutionStep) -> tuple[list[Target], list[Order]]:
        state = self.state
        shares: dict[str, list[Contribution]] = {}
        for holding in state.holdings.values():
            if holding.contribution is not None:
                shares.setdefault(holding.signal.instrument_id, []).append(holding.contribution)
        held = held_after_working(execution)
        targets: list[Target] = []
        proposed: list[Order] = []
        for instrument_id in state.instruments:
            wanted = self._target(instrument_id, shares.get(instrument_id, []))
            has = held.get(instrument_id, ZERO)
            found = target(instrument_id, wanted, has, shares.get(instrument_id, []))
            if wanted != state.targets.get(instrument_id, ZERO):
                state.targets[instrument_id] = wanted
                state.refused.pop(instrument_id, None)
                targets.append(found)
            goal = self._within_reach(wanted, has)
            if self._worth_trading(instrument_id, goal, has):
                px = state.last_px[instrument_id]
                proposed.extend(orders(found, goal, book=state.book, account=self._account.id, ref_px=px, ts=ts))
        state.cut = False
        return targets, proposed

    def _target(self, instrument_id: str, shares: Sequence[Contribution]) -> Decimal:
        net = sum((share.signed_qty for share in shares), ZERO)
        return self.state.instruments[instrument_id].round_qty(net * _exact(self.state.exposure_factor))

    def _worth_trading(self, instrument_id: str, wanted: Decimal, has: Decimal) -> bool:
        state = self.state
        if wanted == has or instrument_id not in state.last_px:
            return False
        shrinks = has * wanted >= 0 and abs(wanted) < abs(has)
        if not shrinks and state.refused.get(instrument_id) == wanted:
            return False  # only what gets out is asked for again
        if wanted == 0 or (state.cut and abs(wanted) < abs(has)):
            return True
        if has * wanted > 0 and abs(wanted - has) < max(abs(wanted), abs(has)) * _exact(self._settings.trade_band):
            return False
        px, instrument = state.last_px[instrument_id], state.instruments[instrument_id]
        rate = self._conversions().rate(instrument.quote, state.last_px)
        return rate is not None and abs(wanted - has) * px * rate >= _exact(self._settings.min_trade_notional)

    def _within_reach(self, wanted: Decimal, has: Decimal) -> Decimal:
        """As far toward `wanted` as the trading state lets the book go; the guardian checks all the same."""
        match self.state.trading:
            case TradingState.ACTIVE:
                return wanted
            case TradingState.REDUCING:
                return min(wanted, has, key=abs) if has * wanted > 0 else ZERO
            case TradingState.HALTED:
                return has

    def _conversions(self) -> Conversion:
        if self._conversion_of != len(self.state.instruments):
            self._conversion = Conversion(self._account.currency, self.state.instruments.values())
            self._conversion_of = len(self.state.instruments)
        return self._conversion


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))
