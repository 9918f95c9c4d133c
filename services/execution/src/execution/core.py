"""Turns approved orders into fills, and says after every slice what it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from common.core import Effect
from common.messages.base import Message
from common.messages.control import InstrumentsDefined, ServiceStarted
from common.messages.market_data import MarketSlice
from common.messages.orders import (
    AmendApproved,
    CancelOrder,
    CancelRejected,
    ExecutionStep,
    GuardianLost,
    IntentFailed,
    IntentRecorded,
    OpenOrder,
    Order,
    OrderApproved,
)
from common.messages.risk import HaltTrading, TradingStateChanged
from common.messages.venue import VenueConnection, VenueReported, VenueSnapshot
from common.model.account import Account
from common.model.enums import DenyCode, OrderState, TradingState
from common.model.parties import GUARDIAN
from execution import contingency, reconciliation, requests, working
from execution.admission import gate, is_flattening, refusal
from execution.booking import book_financing, deny, end, remember, say_denied, whose
from execution.connection import on_connection, say_health, venue_time
from execution.context import Context
from execution.effects import RecordIntent
from execution.manager import apply
from execution.routing import amend, submit, withdraw
from execution.settings import Settings
from execution.state import LiveOrder, State
from execution.versions import on_started

__all__ = ["GUARDIAN", "Execution"]


class Execution:
    """One account at one venue. Same inputs, same outputs."""

    def __init__(self, settings: Settings, account: Account) -> None:
        self._ctx = Context(settings, account)
        self._handlers: dict[type[Message], Callable[[Any], None]] = {
            MarketSlice: self._on_slice,
            OrderApproved: self._on_approved,
            IntentRecorded: self._on_recorded,
            IntentFailed: self._on_failed,
            VenueReported: self._on_reported,
            VenueSnapshot: self._on_snapshot,
            VenueConnection: self._on_connection,
            TradingStateChanged: self._on_trading_state,
            HaltTrading: self._on_halt,
            GuardianLost: self._on_guardian_lost,
            CancelOrder: self._on_cancel,
            AmendApproved: self._on_amend,
            InstrumentsDefined: self._define,
            ServiceStarted: self._on_started,
        }

    @property
    def state(self) -> State:
        return self._ctx.state

    @state.setter
    def state(self, state: State) -> None:
        self._ctx.state = state

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        ctx, handler = self._ctx, self._handlers.get(type(message))
        if handler is None:
            return ()
        ctx.out = []
        ctx.ts = ctx.state.ts  # who commands or misses a heartbeat lives by the wall clock, which a replay does not
        handler(message)
        self._settle()
        if ctx.state.orders:
            self._release()
        while ctx.state.waiting and not self._recording():
            self._step(ctx.state.waiting.pop(0))
        return ctx.out

    def pending(self) -> Sequence[Effect]:
        """Intents and requests without an answer; outside the paper venue also a snapshot, to begin with a comparison."""
        effects: list[Effect] = []
        for live in self.state.orders.values():
            if live.state is OrderState.APPROVED and not live.answered:
                effects.append(RecordIntent(order=live.order, ts_event=live.ts_approved))
            effects.extend(requests.unanswered(live))
        if self._ctx.paper is None:
            effects.append(reconciliation.next_snapshot(self._ctx))
        return effects

    # --- what we hear --------------------------------------------------------------------------------

    def _on_slice(self, message: MarketSlice) -> None:
        self.state.waiting.append(message)

    def _on_recorded(self, message: IntentRecorded) -> None:
        self._on_intent(message.client_order_id, None)

    def _on_failed(self, message: IntentFailed) -> None:
        self._on_intent(message.client_order_id, message.code)

    def _on_reported(self, message: VenueReported) -> None:
        self._ctx.ts = venue_time(self._ctx, message.ts_event)
        apply(self._ctx, message.report)

    def _on_snapshot(self, message: VenueSnapshot) -> None:
        self._ctx.ts = venue_time(self._ctx, message.ts_event)
        reconciliation.on_snapshot(self._ctx, message)

    def _on_connection(self, message: VenueConnection) -> None:
        on_connection(self._ctx, message)

    def _on_halt(self, message: HaltTrading) -> None:
        self.state.halt_unconfirmed = True
        self._halt(f"halt by {message.author}: {message.reason}")

    def _on_guardian_lost(self, message: GuardianLost) -> None:
        self._withdraw_all(f"guardian silent for {message.silent_s:g} s", spare=_says_it_reduces)

    def _on_started(self, message: ServiceStarted) -> None:
        on_started(self._ctx, message)

    def _on_amend(self, message: AmendApproved) -> None:
        amend(self._ctx, message)

    def _settle(self) -> None:
        """Works off what the paper venue has answered and what others must follow, until nothing more comes of it."""
        ctx = self._ctx
        while True:
            if ctx.reports:
                apply(ctx, ctx.reports.popleft())
            elif ctx.happened:
                event = ctx.happened.popleft()
                contingency.react(ctx, event)
                working.react(ctx, event)
            else:
                return

    def _define(self, message: InstrumentsDefined) -> None:
        state, account = self.state, self._ctx.account
        first = not state.book
        state.book = message.book
        state.instruments = {instrument.instrument_id: instrument for instrument in message.instruments}
        if not state.ledger.cash:
            state.ledger.credit(account.currency, account.starting_cash)
        if first:
            say_health(self._ctx)

    def _on_approved(self, message: OrderApproved) -> None:
        """Said twice, traded once."""
        ctx, order = self._ctx, message.order
        state, name = ctx.state, order.client_order_id
        if name in state.orders or name in state.closed:
            return
        ctx.ts = message.ts_event
        if (found := refusal(ctx, message)) is not None:
            remember(ctx, name)
            say_denied(ctx, order, *found)
            return
        live = LiveOrder(order=order, state=OrderState.APPROVED, ts_approved=message.ts_event, full_qty=order.qty)
        if order.parent_id or order.oco_group:
            self._link(live)
        state.orders[name] = live
        ctx.out.append(RecordIntent(order=order, ts_event=message.ts_event))

    def _link(self, live: LiveOrder) -> None:
        live.linked = True
        if (parent := self.state.find(live.order.parent_id)) is not None:
            parent.linked = True
            live.parent_filled = parent.cum_qty

    def _on_intent(self, client_order_id: str, failed: DenyCode | None) -> None:
        """Orders go out in the order of their approval, whatever order the answers come in: an exit must not arrive after the
        entry that follows it. Only the guardian's flattening waits for nobody.
        """
        live = self.state.orders.get(client_order_id)
        if live is None or live.state is not OrderState.APPROVED or live.answered:
            return
        live.answered, live.failed = True, failed
        if is_flattening(live.order):
            self._go(live)

    def _release(self) -> None:
        """What is answered and waits for nobody before it any more."""
        for live in [live for live in self.state.orders.values() if live.state is OrderState.APPROVED]:
            if not live.answered:
                return
            if live.state is OrderState.APPROVED:
                self._go(live)
                self._settle()

    def _go(self, live: LiveOrder) -> None:
        """Recorded, or not: then only what reduces goes out."""
        ctx = self._ctx
        ctx.ts = live.ts_approved
        if (found := gate(ctx, live.order)) is not None:
            deny(ctx, live, *found)
        elif live.failed is not None and not live.order.reduce_only:
            deny(ctx, live, live.failed)
        elif live.order.parent_id and not live.worked_for:
            live.state = OrderState.HELD
            contingency.follow(ctx, live)
        elif not working.begin(ctx, live):
            submit(ctx, live)

    def _on_cancel(self, message: CancelOrder) -> None:
        ctx = self._ctx
        live = ctx.state.orders.get(message.client_order_id)
        if live is not None and not live.worked_for:
            withdraw(ctx, live, f"by {message.author}: {message.reason}", firm=False)
            return
        over = ctx.state.finished.get(message.client_order_id)
        ids = whose(over.order) if over is not None else self._nobodys(message.client_order_id)
        ctx.out.append(CancelRejected(ts_event=ctx.ts, reason="no such order works", **ids))

    def _nobodys(self, client_order_id: str) -> dict[str, str]:
        account = self._ctx.account.id
        return {
            "client_order_id": client_order_id,
            "account": account,
            "strategy_id": "unknown",
            "instrument_id": "",
        }

    def _on_trading_state(self, message: TradingStateChanged) -> None:
        """An ACTIVE or REDUCING that was said before the guardian heard of a halt does not end it."""
        state = self.state
        state.reducing = message.state is TradingState.REDUCING
        if message.state is TradingState.HALTED:
            state.halt_unconfirmed = False
            self._halt(message.reason)
        elif not state.halt_unconfirmed:
            state.halted = False
        if state.reducing:
            self._withdraw_all(message.reason, spare=_says_it_reduces)

    def _halt(self, reason: str) -> None:
        """Cancels all that works, but for what the guardian itself sent to flatten."""
        self.state.halted = True
        self._withdraw_all(reason, spare=is_flattening)

    def _withdraw_all(self, reason: str, spare: Callable[[Order], bool]) -> None:
        """As of the last slice."""
        for live in list(self.state.orders.values()):
            unsent = live.state is OrderState.APPROVED  # judged again when its intent is recorded
            if not unsent and not spare(live.order):
                withdraw(self._ctx, live, reason)

    # --- the step ------------------------------------------------------------------------------------

    def _recording(self) -> bool:
        return any(live.state is OrderState.APPROVED for live in self.state.orders.values())

    def _step(self, message: MarketSlice) -> None:
        ctx, state = self._ctx, self._ctx.state
        ctx.ts = message.ts_event
        if ctx.settings.algorithms.enabled:
            state.view.observe(message, state.instruments)
        if ctx.financing is not None:
            ctx.financing.accrue(state.accrual, message.ts_event, state.ledger, state.instruments)
        if ctx.paper is not None:
            for report in ctx.paper.trade(state.paper, message, state.instruments, ctx.fees()):
                apply(ctx, report)
                self._settle()
        state.step, state.ts = message.step, message.ts_event
        if state.orders:
            self._pass_time()
        if ctx.paper is None:
            reconciliation.on_slice(ctx)
        if state.accrual.due:
            book_financing(ctx, message)
        ctx.out.append(self._summary(message))

    def _pass_time(self) -> None:
        ctx = self._ctx
        for live in list(ctx.state.orders.values()):
            expires = live.order.expire_ns
            if live.state is OrderState.HELD and live.progress is None and expires is not None and ctx.ts >= expires:
                end(ctx, live, OrderState.EXPIRED)
            else:
                contingency.follow(ctx, live)
        if ctx.settings.algorithms.enabled:
            working.on_slice(ctx)
        self._settle()

    def _summary(self, message: MarketSlice) -> ExecutionStep:
        state = self.state
        return ExecutionStep(
            ts_event=message.ts_event,
            book=message.book,
            step=message.step,
            cash=dict(state.ledger.cash),
            positions=tuple(state.ledger.positions.values()),
            open_orders=tuple(_open(live) for live in state.orders.values() if _can_trade(live)),
        )


def _says_it_reduces(order: Order) -> bool:
    return order.reduce_only


def _can_trade(live: LiveOrder) -> bool:
    """Parts are counted in their whole; what waits for its parent cannot trade yet."""
    waits = live.state is OrderState.HELD and bool(live.order.parent_id)
    return not live.worked_for and not waits


def _open(live: LiveOrder) -> OpenOrder:
    return OpenOrder(
        client_order_id=live.order.client_order_id,
        instrument_id=live.order.instrument_id,
        signed_leaves_qty=live.leaves_qty * live.order.side.sign,
        reduce_only=live.order.reduce_only,
        strategy_id=live.order.strategy_id,
    )
