"""Nets many opinions into one target book and proposes the orders that lead there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from common.core import Effect
from common.isolation import Isolation
from common.messages.base import Message
from common.messages.control import EnableFeature, InstrumentsDefined
from common.messages.market_data import Bar, MarketSlice
from common.messages.orders import ExecutionStep, OrderDenied, OrderFilled
from common.messages.portfolio import PortfolioStep
from common.messages.regime import RegimeStep
from common.messages.risk import RiskStep, ScopeHalted
from common.messages.signals import Signal, SignalsStep
from common.model.account import Account
from common.model.enums import DenyCode, Direction
from common.model.ledger import Ledger
from common.model.money import ZERO, Conversion
from common.model.parties import BOOK
from common.model.time import NS_PER_MINUTE
from portfolio import exits, halts, manual
from portfolio import quiet as sleep
from portfolio.exits import Progress, Verdict, View
from portfolio.moves import Desk, move
from portfolio.quiet import Passed, Quiet
from portfolio.settings import ExitSettings, Settings
from portfolio.shares import Shares
from portfolio.state import Denied, Seen, State

Review = Callable[[Progress, Direction, View, ExitSettings], Verdict | None]

# Denials that pass by themselves: the same order is proposed again at the next step. Not among them: what a limit says of
# the order itself, and what only a person ends (REPEATED_EXECUTION, RESTRICTED).
_PASSING: Final = frozenset(
    {
        DenyCode.TRADING_HALTED,
        DenyCode.WOULD_INCREASE,
        DenyCode.STRATEGY_HALTED,
        DenyCode.INSTRUMENT_HALTED,
        DenyCode.ORDER_RATE,
        DenyCode.STRATEGY_ORDER_RATE,
        DenyCode.CANCEL_RATE,
        DenyCode.NOTIONAL_RATE,
        DenyCode.OPEN_ORDERS,
        DenyCode.DUPLICATE_CONTENT,
        DenyCode.SELF_TRADE,
        DenyCode.DAILY_LOSS,
        DenyCode.STALE_PRICE,
        DenyCode.NO_PRICE,
        DenyCode.NO_QUOTE,
        DenyCode.NO_EQUITY,
        DenyCode.MARKET_CLOSED,
        DenyCode.EVENT_BLACKOUT,
        DenyCode.CLOCK_JUMP,
        DenyCode.VERSION_MISMATCH,
        DenyCode.RECONCILIATION_BREAK,
        DenyCode.VENUE_DOWN,
        DenyCode.STALE_APPROVAL,
        DenyCode.GUARDIAN_SILENT,
        DenyCode.INTENT_NOT_RECORDED,
    }
)


class Portfolio:
    """One book in one account. Same inputs, same outputs.

    Several opinions about one instrument are netted: their contributions add up to one target, and one order leads there.
    The book owns the exposure; each contribution says whose idea how much of it is. `review` is what decides about exits.
    """

    def __init__(self, settings: Settings, account: Account, *, review: Review = exits.review) -> None:
        self._settings = settings
        self._account = account
        self._review = review
        self._isolation = Isolation("portfolio", settings.isolation)
        self.state = State()
        self._conversion = Conversion(account.currency, ())
        self._conversion_of = 0

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        state = self.state
        match message:
            case MarketSlice():
                state.slices.append(message)
            case SignalsStep():
                state.signals.append(message)
                return self._when_complete()
            case ExecutionStep():
                state.executions.append(manual.on_execution(state, message))
                return self._when_complete()
            case EnableFeature():
                self._isolation.enable(state.features, message)
                return self._isolation.said(state.book, state.last_ns)
            case _:
                self._hear(message)
        return ()

    def _hear(self, message: Message) -> None:
        """What the next step has to know."""
        state = self.state
        match message:
            case RegimeStep():
                if self._settings.exits.enabled:
                    state.regimes.append(message)
            case RiskStep():
                state.cut = state.cut or message.exposure_factor < state.exposure_factor
                state.exposure_factor, state.stop_factor = message.exposure_factor, message.stop_factor
                if message.trading_state is not state.trading:
                    state.denied.clear()
                state.trading, state.min_confidence = message.trading_state, message.min_confidence
            case OrderFilled():
                manual.on_fill(state, message)
            case OrderDenied(order=order):
                if order.strategy_id == BOOK and order.instrument_id in state.targets:
                    self._on_denied(message)
            case ScopeHalted():
                halts.on_scope(state, message)
            case InstrumentsDefined():
                state.book = message.book
                state.instruments = {instrument.instrument_id: instrument for instrument in message.instruments}

    def _on_denied(self, message: OrderDenied) -> None:
        state, instrument_id = self.state, message.order.instrument_id
        if message.code not in _PASSING:
            state.refused[instrument_id] = state.targets[instrument_id]
        elif self._settings.retry_minutes and not message.order.reduce_only:
            before = state.denied.get(instrument_id)
            times = before.times + 1 if before else 1
            wait = min(2 ** min(times - 1, 20), self._settings.retry_minutes) * NS_PER_MINUTE
            state.denied[instrument_id] = Denied(times=times, until_ns=message.ts_event + wait)

    def pending(self) -> Sequence[Effect]:
        return ()

    def quiet(self, ledger: Ledger) -> Quiet | None:
        """As `quiet.quiet`: what must not happen for the next slices to change nothing."""
        return sleep.quiet(self._desk(), ledger)

    def only_hears(self, signal: Signal) -> bool:
        """As `quiet.only_hears`: whether a signal is nothing but something to remember."""
        return sleep.only_hears(self.state, signal)

    def catch_up(self, passed: Passed) -> None:
        """As `quiet.catch_up`: with slices in which none of that happened."""
        sleep.catch_up(self._desk(), passed)

    def _desk(self) -> Desk:
        return Desk(self.state, self._settings, self._conversions(), self._account.id)

    # --- the step ------------------------------------------------------------------------------------

    def _when_complete(self) -> Sequence[Message]:
        state = self.state
        if not (state.slices and state.signals and state.executions):
            return ()
        return self._answer(state.slices.pop(0), state.signals.pop(0), state.executions.pop(0))

    def _answer(self, slice_: MarketSlice, signals: SignalsStep, seen: Seen) -> Sequence[Message]:
        state, ts = self.state, slice_.ts_event
        state.last_ns = ts
        conversion = self._conversions()
        base_bars = self._observe(slice_)
        ledger = Ledger(cash=seen.execution.cash, positions={p.instrument_id: p for p in seen.execution.positions})
        state.equity = ledger.equity(state.instruments, state.last_px, conversion)
        shares = Shares(state, self._settings, conversion, ts)
        shares.stop_out(base_bars)
        shares.take_exits(self._exits(slice_, base_bars, shares))
        for signal in signals.signals:
            shares.listen(signal)
        shares.rebalance()
        shares.respect_total_risk()
        targets, proposed = move(self._desk(), seen, shares.events, ts)
        exposures = ledger.exposures(state.instruments, state.last_px, conversion)
        step = PortfolioStep(
            ts_event=ts,
            book=slice_.book,
            step=slice_.step,
            equity=state.equity,
            gross_exposure=sum((abs(value) for value in exposures.values()), ZERO),
            net_exposure=sum(exposures.values(), ZERO),
            total_risk=shares.total_risk(),
            targets=targets,
            orders=proposed,
        )
        return (*self._isolation.said(slice_.book, ts), step)

    def _observe(self, slice_: MarketSlice) -> dict[str, Bar]:
        """Takes in prices and the returns for correlations; gives the bars that price and stop."""
        state, settings = self.state, self._settings
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

    def _exits(self, slice_: MarketSlice, bars: Mapping[str, Bar], shares: Shares) -> Sequence[tuple[str, Verdict]]:
        """By key of holding, what the exits found; nothing where they are not watched or have failed. Readings of later
        steps wait for theirs.
        """
        state, settings = self.state, self._settings.exits
        if not settings.enabled:
            return ()
        known = [step for step in state.regimes if step.step <= slice_.step]
        state.regimes = [step for step in state.regimes if step.step > slice_.step]

        def look() -> Sequence[tuple[str, Verdict]]:
            exits.observe(state.watch, slice_, known, settings)
            return list(self._verdicts(slice_, bars, shares))

        return self._isolation.attempt(state.features, exits.FEATURE, slice_.ts_event, look, (), file=exits.__file__)

    def _verdicts(self, slice_: MarketSlice, bars: Mapping[str, Bar], shares: Shares) -> Iterator[tuple[str, Verdict]]:
        state, ts = self.state, slice_.ts_event
        closed = {(bar.instrument_id, bar.timeframe) for bar in slice_.bars}
        for key, holding in state.holdings.items():
            signal, progress = holding.signal, holding.exits
            bar = bars.get(signal.instrument_id)
            if bar is None or progress is None or holding.contribution is None:
                continue
            fresh = (signal.instrument_id, signal.timeframe) in closed
            if not fresh and exits.is_quiet(progress, bar, ts):
                continue
            closes = state.watch.closes[signal.instrument_id][signal.timeframe] if fresh else ()
            view = View(ts, bar, shares.reading(signal), closes)
            verdict = self._review(progress, signal.direction, view, self._settings.exits)
            if verdict is not None:
                yield key, verdict

    def _conversions(self) -> Conversion:
        if self._conversion_of != len(self.state.instruments):
            self._conversion = Conversion(self._account.currency, self.state.instruments.values())
            self._conversion_of = len(self.state.instruments)
        return self._conversion
