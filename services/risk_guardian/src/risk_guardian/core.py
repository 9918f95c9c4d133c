"""Approves, cuts or denies every proposed order; climbs the risk ladders; halts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from common.core import Effect
from common.messages.base import Message
from common.messages.control import InstrumentsDefined
from common.messages.market_data import MarketSlice
from common.messages.orders import (
    ExecutionStep,
    Order,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
)
from common.messages.portfolio import PortfolioStep
from common.messages.risk import HaltTrading, LadderChanged, ResumeTrading, RiskStep, TradingStateChanged
from common.model.account import Account
from common.model.enums import Side, TradingState
from common.model.money import ZERO, Conversion
from common.model.time import NS_PER_MINUTE, to_datetime
from risk_guardian import ladder
from risk_guardian.checks import CHECKS, Breach, Context, Cut, gross_exposure
from risk_guardian.settings import Settings
from risk_guardian.state import State, Working

NAME: Final = "risk_guardian"
SEEN_IDS_KEPT: Final = 20_000  # each snapshot holds them


class RiskGuardian:
    """Guards one account. Same inputs, same outputs."""

    def __init__(self, settings: Settings, account: Account) -> None:
        self._settings = settings
        self._account = account
        self.state = State()
        self._conversion = Conversion(account.currency, ())
        self._conversion_of = 0

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        match message:
            case MarketSlice():
                self._observe(message)
            case ExecutionStep():
                return list(self._evaluate(message.ts_event))
            case PortfolioStep():
                return self._judge_all(message)
            case OrderFilled():
                self._on_fill(message)
            case OrderCanceled() | OrderExpired() | OrderRejected():
                self.state.working.pop(message.client_order_id, None)
            case OrderDenied():
                if message.by != NAME:
                    self.state.working.pop(message.order.client_order_id, None)
            case HaltTrading():
                return list(self._on_halt(message))
            case ResumeTrading():
                return list(self._on_resume(message))
            case InstrumentsDefined():
                self._define(message)
        return ()

    def pending(self) -> Sequence[Effect]:
        return ()

    # --- what we see ---------------------------------------------------------------------------------

    def _define(self, message: InstrumentsDefined) -> None:
        state = self.state
        state.book = message.book
        state.instruments = {instrument.instrument_id: instrument for instrument in message.instruments}
        state.base_timeframe = dict(zip(state.instruments, message.base_timeframes, strict=True))
        if not state.ledger.cash:
            state.ledger.credit(self._account.currency, self._account.starting_cash)
            state.peak_equity = self._account.starting_cash

    def _observe(self, message: MarketSlice) -> None:
        state = self.state
        for bar in message.bars:
            if bar.base:
                state.last_px[bar.instrument_id] = state.instruments[bar.instrument_id].round_price(bar.close)
                state.last_px_ns[bar.instrument_id] = message.ts_event
        for quote in message.quotes:
            mid = (quote.bid + quote.ask) / 2
            state.last_px[quote.instrument_id] = state.instruments[quote.instrument_id].round_price(mid)
            state.last_px_ns[quote.instrument_id] = message.ts_event
        state.step, state.ts = message.step, message.ts_event

    def _on_fill(self, message: OrderFilled) -> None:
        state = self.state
        instrument = state.instruments[message.instrument_id]
        state.ledger.apply_fill(instrument, message.signed_qty, message.last_px, message.commission)
        working = state.working.get(message.client_order_id)
        if working is not None:
            working.signed_leaves_qty -= message.signed_qty
            if message.leaves_qty == 0:
                del state.working[message.client_order_id]

    # --- the ladder ----------------------------------------------------------------------------------

    def _evaluate(self, ts: int) -> Iterator[Message]:
        """Equity, drawdown and what they demand, on the positions as of this slice."""
        state = self.state
        if state.flatten:
            yield from self._reduce(ts, ZERO, state.flatten)
        state.equity = state.ledger.equity(state.instruments, state.last_px, self._conversions())
        if state.equity is None:
            return
        state.peak_equity = max(state.peak_equity, state.equity)
        before = state.ladder.level
        level = ladder.next_level(self._settings.drawdown_ladder, before, self._drawdown())
        if level != before:
            yield self._move_to(level, ts)
        yield from self._change_state(ts, f"drawdown ladder level {level}", NAME)
        if level > before:
            yield from self._cut(before, level, ts)

    def _move_to(self, level: int, ts: int) -> LadderChanged:
        levels, state = self._settings.drawdown_ladder, self.state
        before = state.ladder.level
        state.ladder.level, state.ladder.since_ns = level, ts
        rung = levels[max(level, before) - 1]
        return LadderChanged(
            ts_event=ts,
            book=state.book,
            ladder="drawdown",
            level=level,
            previous=before,
            observed=self._drawdown(),
            threshold=rung.trigger if level > before else rung.release,
            actions=ladder.actions(levels[level - 1]) if level else ("released",),
        )

    def _cut(self, before: int, level: int, ts: int) -> Iterator[Message]:
        """Positions down to the share of the new level; what the level before had cut is not cut again."""
        levels = self._settings.drawdown_ladder
        had, keeps = ladder.exposure_factor(levels, before), ladder.exposure_factor(levels, level)
        if keeps < had:
            yield from self._reduce(ts, Decimal(repr(keeps)) / Decimal(repr(had)), f"drawdown ladder level {level}")

    def _reduce(self, ts: int, keep: Decimal, reason: str) -> Iterator[Message]:
        """Market orders of the guardian's own that leave the share `keep` of every position, after those under way."""
        state = self.state
        for position in list(state.ledger.positions.values()):
            instrument = state.instruments[position.instrument_id]
            held = position.signed_qty + self._own_leaves(position.instrument_id)
            qty = abs(held) - instrument.round_qty(abs(held) * keep)
            if not qty or held * position.signed_qty < 0:  # what is under way closes all of it, and will not flip it
                continue
            state.own_orders += 1
            order = Order(
                client_order_id=f"{state.book}-guardian-{to_datetime(ts):%Y%m%dT%H%M%S}-{state.own_orders}",
                account=self._account.id,
                strategy_id=NAME,
                instrument_id=position.instrument_id,
                side=Side.SELL if held > 0 else Side.BUY,
                qty=qty,
                ref_px=state.last_px.get(position.instrument_id, ZERO),
                reduce_only=True,
                reason=reason,
            )
            self._remember(order)
            yield OrderApproved(ts_event=ts, order=order, step=state.step, rule=reason)

    def _own_leaves(self, instrument_id: str) -> Decimal:
        own = (order for order in self.state.working.values() if order.own and order.instrument_id == instrument_id)
        return sum((order.signed_leaves_qty for order in own), ZERO)

    # --- halt and resume -----------------------------------------------------------------------------

    def _on_halt(self, message: HaltTrading) -> Iterator[Message]:
        """Always answered, also when halted already: execution waits for the answer. The time is that of the last slice: a
        commander lives by the wall clock, and an order of tomorrow would never trade in a replay.
        """
        state = self.state
        state.halted = True
        previous, state.trading = state.trading, TradingState.HALTED
        yield self._state_changed(state.ts, previous, message.reason, message.author)
        if message.flatten:
            state.flatten = f"flatten: {message.reason}"
            yield from self._reduce(state.ts, ZERO, state.flatten)

    def _on_resume(self, message: ResumeTrading) -> Iterator[Message]:
        """Ends halts of operators and ladders alike; the drawdown is counted from the equity of now."""
        state = self.state
        state.halted, state.flatten = False, ""
        if state.ladder.level:
            yield self._move_to(0, state.ts)
        if state.equity is not None:
            state.peak_equity = state.equity
        yield from self._change_state(state.ts, message.reason, message.author)

    def _change_state(self, ts: int, reason: str, author: str) -> Iterator[Message]:
        """Halts and ladders combine to the most restrictive."""
        state = self.state
        wanted = ladder.trading_state(self._settings.drawdown_ladder, state.ladder, state.ts)
        if state.halted:
            wanted = TradingState.HALTED
        if wanted is not state.trading:
            previous, state.trading = state.trading, wanted
            yield self._state_changed(ts, previous, reason, author)

    def _state_changed(self, ts: int, previous: TradingState, reason: str, author: str) -> TradingStateChanged:
        return TradingStateChanged(
            ts_event=ts, book=self.state.book, state=self.state.trading, previous=previous, reason=reason, author=author
        )

    # --- the verdict ---------------------------------------------------------------------------------

    def _judge_all(self, message: PortfolioStep) -> list[Message]:
        verdicts = [self._judge(order, message) for order in message.orders]
        state, levels = self.state, self._settings.drawdown_ladder
        approved = sum(isinstance(verdict, OrderApproved) for verdict in verdicts)
        step = RiskStep(
            ts_event=message.ts_event,
            book=message.book,
            step=message.step,
            trading_state=state.trading,
            equity=state.equity,
            peak_equity=state.peak_equity,
            drawdown=self._drawdown(),
            gross_exposure=gross_exposure(state, self._conversions()),
            exposure_factor=ladder.exposure_factor(levels, state.ladder.level),
            stop_factor=ladder.stop_factor(levels, state.ladder.level),
            approved=approved,
            denied=len(verdicts) - approved,
        )
        return [*verdicts, step]

    def _judge(self, order: Order, message: PortfolioStep) -> Message:
        rules: list[str] = []
        judged, context = order, self._context(order)
        for check in CHECKS:
            finding = check(context)
            if finding is None:
                continue
            breach = finding.breach if isinstance(finding, Cut) else finding
            if not isinstance(finding, Cut) or finding.qty <= 0:
                return self._deny(order, message.ts_event, breach)
            rules.append(f"{breach.code}: {breach.observed:f} over {breach.limit:f}")
            judged = msgspec.structs.replace(judged, qty=finding.qty)
            context = context._replace(order=judged)
        self._remember(judged)
        return OrderApproved(
            ts_event=message.ts_event,
            order=judged,
            step=message.step,
            resized_from=order.qty if judged.qty != order.qty else None,
            rule="; ".join(rules),
        )

    def _deny(self, order: Order, ts: int, breach: Breach) -> OrderDenied:
        return OrderDenied(
            ts_event=ts, order=order, code=breach.code, observed=breach.observed, limit=breach.limit, by=NAME
        )

    def _context(self, order: Order) -> Context:
        return Context(
            order=order,
            state=self.state,
            limits=self._settings.limits,
            account=self._account.id,
            held=self.state.held(order.instrument_id, order.side.sign),
            exposure_factor=ladder.exposure_factor(self._settings.drawdown_ladder, self.state.ladder.level),
            conversion=self._conversions(),
        )

    def _remember(self, order: Order) -> None:
        state = self.state
        state.seen[order.client_order_id] = None
        if len(state.seen) > SEEN_IDS_KEPT:
            del state.seen[next(iter(state.seen))]
        state.working[order.client_order_id] = Working(
            instrument_id=order.instrument_id, signed_leaves_qty=order.signed_qty, own=order.strategy_id == NAME
        )
        state.approvals = [ts for ts in state.approvals if ts > state.ts - NS_PER_MINUTE]
        state.approvals.append(state.ts)

    def _drawdown(self) -> float:
        state = self.state
        if state.equity is None or state.peak_equity <= 0:
            return 0.0
        return max(0.0, float((state.peak_equity - state.equity) / state.peak_equity))

    def _conversions(self) -> Conversion:
        if self._conversion_of != len(self.state.instruments):
            self._conversion = Conversion(self._account.currency, self.state.instruments.values())
            self._conversion_of = len(self.state.instruments)
        return self._conversion
