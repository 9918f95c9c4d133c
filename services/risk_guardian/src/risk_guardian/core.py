"""Approves, cuts or denies every proposed order; climbs the risk ladders; halts; raises alerts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.core import Effect
from common.messages.base import Message
from common.messages.control import InstrumentsDefined
from common.messages.market_data import EventsScheduled, MarketSlice
from common.messages.orders import (
    AmendOrder,
    AmendRejected,
    ExecutionStep,
    FinancingCharged,
    OrderAmended,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    ProposeOrders,
    VenueHealth,
)
from common.messages.portfolio import PortfolioStep
from common.messages.risk import (
    AcknowledgeAlert,
    HaltScope,
    HaltTrading,
    ResumeTrading,
    RiskMeasured,
    RiskStep,
    RunStress,
    ScopeHalted,
)
from common.model.account import Account
from common.model.money import ZERO, Conversion
from risk_guardian import events, halts, intake, ladder, streaks, watch
from risk_guardian import quiet as sleep
from risk_guardian.alerts import RULES as ALARMING
from risk_guardian.alerts import Alarms
from risk_guardian.checks import gross_exposure
from risk_guardian.ladder import Restriction
from risk_guardian.measures import Measures
from risk_guardian.reduce import demand_calm, demand_share, press
from risk_guardian.scenarios import Scenario
from risk_guardian.settings import Settings
from risk_guardian.state import State
from risk_guardian.verdict import NAME, Judge, Now
from risk_guardian.watch import Reporter

NO_SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType({})


class RiskGuardian:
    """Guards one account. Same inputs, same outputs."""

    def __init__(self, settings: Settings, account: Account, scenarios: Mapping[str, Scenario] = NO_SCENARIOS) -> None:
        """`scenarios` are those of the stress tests, from `scenarios.load`."""
        self._settings = settings
        self._account = account
        self._judge = Judge(settings.limits, account.id, windows=settings.windows, events=settings.events)
        self._measures = Measures(settings.measures, account.currency, scenarios, settings.limits.sectors)
        self._reporter = Reporter(settings, self._measures)
        self._alarms = Alarms(settings.alerts, settings.ladders)
        self.state = State()
        self._conversion = Conversion(account.currency, ())
        self._conversion_of = 0

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        """Alerts come behind what they are about, but never behind the message that closes the step."""
        said = self._answer(message)
        alerts = [
            alert
            for about in (message, *said)
            if type(about) in ALARMING
            for alert in self._alarms.about(about, self.state)
        ]
        if not alerts:
            return said
        end = len(said) - bool(said and isinstance(said[-1], RiskStep))
        return [*said[:end], *alerts, *said[end:]]

    def pending(self) -> Sequence[Effect]:
        return ()

    def leave_out_reports(self) -> None:
        """From here on RiskMeasured and StressTested are said only when asked for: a backtest pays for what trades."""
        self._reporter.on = False

    def measured(self) -> RiskMeasured:
        """Every measure of the book as of the last slice."""
        return self._measures.measured(self.state)

    def quiet(self) -> sleep.Quiet | None:
        """As `quiet.quiet`: what must not happen for the next slices to change nothing."""
        return sleep.quiet(self.state, self._settings, self._measures)

    def catch_up(self, passed: sleep.Passed) -> None:
        """As `quiet.catch_up`: with slices in which none of that happened."""
        sleep.catch_up(self.state, self._settings.limits, passed)

    def var_at(self, weights: NDArray[np.float64]) -> float | None:
        """As `Measures.var_at`."""
        return self._measures.var_at(self.state, weights)

    def _answer(self, message: Message) -> Sequence[Message]:
        state = self.state
        match message:
            case MarketSlice():
                self._observe(message)
            case ExecutionStep():
                return list(self._evaluate())
            case PortfolioStep():
                return self._judge_all(message)
            case OrderFilled() | FinancingCharged():
                self._book(message)
            case OrderCanceled():
                state.working.pop(message.client_order_id, None)
                self._judge.on_cancel(message, state)
            case OrderExpired() | OrderRejected():
                state.working.pop(message.client_order_id, None)
            case OrderDenied():
                if message.by != NAME:
                    state.working.pop(message.order.client_order_id, None)
            case OrderAmended() | AmendRejected():
                self._judge.on_amended(message.order, state)
            case VenueHealth():
                intake.on_venue(state, message)
            case InstrumentsDefined() | EventsScheduled():
                self._define(message)
            case _:
                return list(self._obey(message))
        return ()

    def _obey(self, message: Message) -> Iterator[Message]:
        """Commands take effect at once, at the time of the last slice."""
        state = self.state
        match message:
            case HaltTrading():
                yield halts.halt(state, message)
                yield from self._press()
            case ResumeTrading():
                yield from halts.resume(state, self._settings.ladders, message)
            case HaltScope():
                if not (message.halted and message.instrument_id):  # from here on it is the operator's, halted or not
                    streaks.lift(state.streaks, message.strategy_id)
                yield self._judge.on_halt_scope(message, state, state.ts)
            case ProposeOrders():
                yield from self._judge.judge_proposed(message, state, self._now(state.ts, state.step))
            case AmendOrder():
                yield self._judge.judge_amend(message, state, self._now(state.ts, state.step))
            case RunStress():
                yield self._measures.stressed(state, message.author)
            case AcknowledgeAlert():
                yield from self._alarms.acknowledge(message, state)

    # --- what we see ---------------------------------------------------------------------------------

    def _define(self, message: InstrumentsDefined | EventsScheduled) -> None:
        """What is known before it is traded: instruments, and events that lie ahead."""
        if isinstance(message, EventsScheduled):
            events.learn(self.state.events, self._settings.events, message)
            return
        intake.define(self.state, message, self._account)
        self._measures.define(self.state)

    def _observe(self, message: MarketSlice) -> None:
        intake.take_prices(self.state, message)
        self._judge.observe(message, self.state)
        self._measures.observe(self.state, message)

    def _book(self, message: OrderFilled | FinancingCharged) -> None:
        intake.book(self.state, message)
        if isinstance(message, OrderFilled):
            self._judge.on_fill(message, self.state)

    # --- the ladders ---------------------------------------------------------------------------------

    def _evaluate(self) -> Iterator[Message]:
        """The book as of this slice, and what the ladders demand of it."""
        state, before = self.state, self.state.equity
        state.equity = state.ledger.equity(state.instruments, state.last_px, self._conversions())
        watch.track(state, before)
        reading = self._measures.evaluate(state, stressed=bool(self._settings.ladders.stress))
        state.var_95_1d, state.heat = reading.var_95_1d, reading.heat
        yield from self._climb(watch.observed(state, reading))
        if state.flatten:
            demand_share(state, ZERO, state.flatten)
        yield from self._press()
        yield from self._reporter.due(state)
        yield from self._alarms.escalate(state)

    def _climb(self, observed: Mapping[str, float | None]) -> Iterator[Message]:
        state, ladders = self.state, self._settings.ladders
        before = after = self._restriction()
        moved = list(ladder.moves(ladders, state.ladders, observed, state.ts))
        if moved:
            yield from [halts.move(state, step) for step in moved]
            after = self._restriction()
        yield from halts.settle(state, after.state, ladder.reason(state.ladders), NAME)
        if after.exposure_factor < before.exposure_factor:
            keep = _exact(after.exposure_factor) / _exact(before.exposure_factor)
            calm = ladder.closes_most_volatile(ladders, moved)
            self._demand(keep, ladder.reason(state.ladders), calm=calm)

    def _demand(self, keep: Decimal, reason: str, *, calm: bool) -> None:
        """Positions down to the share `keep`; what ladders had cut before is not cut again."""
        state = self.state
        if calm:
            demand_calm(
                state, keep, reason, lambda name: self._measures.volatility_of(state, name), self._conversions()
            )
        else:
            demand_share(state, keep, reason)

    def _press(self) -> Iterator[OrderApproved]:
        return press(self.state, self.state.ts, self._judge, self._account.id)

    def _restriction(self) -> Restriction:
        return ladder.restriction(self._settings.ladders, self.state.ladders, self.state.ts)

    # --- the verdict ---------------------------------------------------------------------------------

    def _judge_all(self, message: PortfolioStep) -> list[Message]:
        state = self.state
        self._measures.on_targets(state, message)
        said = self._judge.all(
            message.orders,
            state,
            ts=message.ts_event,
            step=message.step,
            exposure_factor=self._restriction().exposure_factor,
            conversion=self._conversions(),
            after=self._measures.after(state) if message.orders else None,
            targets=message.targets,
        )
        said.extend(self._review(message))
        said.append(self._closing(message, said))
        return said

    def _review(self, message: PortfolioStep) -> Iterator[ScopeHalted]:
        """Strategies that lose too often in a row, and those that have been paused for long enough. Said when the portfolio
        has answered the step, so that it always hears of it before the next one.
        """
        state, settings = self.state, self._settings.streaks
        for strategy_id in streaks.reviewed(settings, state):
            reason = f"paused for {settings.lift_after_days} days"
            yield self._judge.halt_scope(state, strategy_id, "", ts=state.ts, reason=reason, halted=False)
        for strategy_id, losses in streaks.losers(settings, state, message.targets):
            reason = f"{losses} losing trades in a row"
            yield self._judge.halt_scope(state, strategy_id, "", ts=state.ts, reason=reason)

    def _closing(self, message: PortfolioStep, said: Sequence[Message]) -> RiskStep:
        """The message that closes the step."""
        state, restriction = self.state, self._restriction()
        return RiskStep(
            ts_event=message.ts_event,
            book=message.book,
            step=message.step,
            trading_state=state.trading,
            equity=state.equity,
            peak_equity=state.peak_equity,
            drawdown=watch.drawdown(state),
            gross_exposure=gross_exposure(state, self._conversions()),
            exposure_factor=restriction.exposure_factor,
            stop_factor=restriction.stop_factor,
            approved=sum(isinstance(one, OrderApproved) for one in said),
            denied=sum(isinstance(one, OrderDenied) for one in said),
            min_confidence=restriction.min_confidence,
            var_95_1d=state.var_95_1d,
            heat=state.heat,
        )

    def _now(self, ts: int, step: int) -> Now:
        return Now(ts, step, self._restriction().exposure_factor, self._conversions(), self._measures.after(self.state))

    def _conversions(self) -> Conversion:
        if self._conversion_of != len(self.state.instruments):
            self._conversion = Conversion(self._account.currency, self.state.instruments.values())
            self._conversion_of = len(self.state.instruments)
        return self._conversion


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))
