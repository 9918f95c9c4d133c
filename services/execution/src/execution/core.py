"""Turns approved orders into fills, and says after every slice what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Final

from common.core import Effect
from common.messages.base import Message
from common.messages.control import InstrumentsDefined
from common.messages.market_data import Bar, MarketSlice, Quote
from common.messages.orders import (
    ExecutionStep,
    GuardianLost,
    IntentFailed,
    IntentRecorded,
    OpenOrder,
    Order,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
)
from common.messages.risk import HaltTrading, TradingStateChanged
from common.model.account import Account
from common.model.enums import DenyCode, OrderState, OrderType, TimeInForce, TradingState
from common.model.money import ZERO
from execution.adapters import paper
from execution.settings import Settings
from execution.state import LiveOrder, State
from execution.transitions import WORKING, advance

GUARDIAN: Final = "risk_guardian"
CLOSED_IDS_KEPT: Final = 20_000  # each snapshot holds them


class RecordIntent(Effect, frozen=True, kw_only=True):
    """Write the order down, committed, before the venue hears of it. Answer with IntentRecorded or IntentFailed."""

    order: Order
    ts_event: int


class Execution:
    """One account at the paper venue. Same inputs, same outputs."""

    def __init__(self, settings: Settings, account: Account) -> None:
        self._settings = settings
        self._account = account
        self._latency_ns = settings.latency_ms * 1_000_000
        self.state = State()

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        match message:
            case MarketSlice():
                return self._on_slice(message)
            case OrderApproved():
                return self._on_approved(message)
            case IntentRecorded():
                return self._on_intent(message.client_order_id, None)
            case IntentFailed():
                return self._on_intent(message.client_order_id, message.code)
            case TradingStateChanged():
                return self._on_trading_state(message)
            case HaltTrading():
                self.state.halt_unconfirmed = True
                return self._halt(f"halt by {message.author}: {message.reason}")
            case GuardianLost():
                return self._cancel_working(f"guardian silent for {message.silent_s:g} s", spare=_reduces)
            case InstrumentsDefined():
                self._define(message)
                return ()
        return ()

    def pending(self) -> Sequence[Effect]:
        """Intents asked for and not answered."""
        return [
            RecordIntent(order=live.order, ts_event=live.ts_approved)
            for live in self.state.orders.values()
            if live.state is OrderState.APPROVED
        ]

    # --- what we hear --------------------------------------------------------------------------------

    def _define(self, message: InstrumentsDefined) -> None:
        state = self.state
        state.book = message.book
        state.instruments = {instrument.instrument_id: instrument for instrument in message.instruments}
        state.base_timeframe = dict(zip(state.instruments, message.base_timeframes, strict=True))
        if not state.ledger.cash:
            state.ledger.credit(self._account.currency, self._account.starting_cash)

    def _on_approved(self, message: OrderApproved) -> Sequence[Message | Effect]:
        order, state = message.order, self.state
        if order.client_order_id in state.orders or order.client_order_id in state.closed:
            return ()  # said twice, traded once
        if (refusal := self._refusal(message)) is not None:
            state.closed[order.client_order_id] = None
            code, observed, limit = refusal
            return [self._denied(message.ts_event, order, code, observed, limit)]
        state.orders[order.client_order_id] = LiveOrder(
            order=order, state=OrderState.APPROVED, ts_approved=message.ts_event
        )
        return [RecordIntent(order=order, ts_event=message.ts_event)]

    def _refusal(self, message: OrderApproved) -> tuple[DenyCode, Decimal, Decimal] | None:
        order, state = message.order, self.state
        if state.halted and not _is_flattening(order):
            return DenyCode.TRADING_HALTED, ZERO, ZERO
        if order.instrument_id not in state.instruments:
            return DenyCode.UNKNOWN_INSTRUMENT, ZERO, ZERO
        if message.step < state.step and order.strategy_id != GUARDIAN:
            return DenyCode.STALE_APPROVAL, Decimal(message.step), Decimal(state.step)
        return None

    def _on_intent(self, client_order_id: str, failed: DenyCode | None) -> Sequence[Message]:
        live = self.state.orders.get(client_order_id)
        if live is None or live.state is not OrderState.APPROVED:
            return ()  # answered before
        outputs = list(self._submit(live, failed))
        while self.state.waiting and not self.pending():
            outputs.extend(self._step(self.state.waiting.pop(0)))
        return outputs

    def _submit(self, live: LiveOrder, failed: DenyCode | None) -> Iterator[Message]:
        order, ts = live.order, live.ts_approved
        if self.state.halted and not _is_flattening(order):
            failed = DenyCode.TRADING_HALTED
        if failed is not None and not (order.reduce_only and failed is not DenyCode.TRADING_HALTED):
            self._close(live, OrderState.DENIED)
            yield self._denied(ts, order, failed, ZERO, ZERO)
            return
        live.state = advance(live.state, OrderState.SUBMITTED)
        live.ts_submitted = ts
        yield OrderSubmitted(ts_event=ts, order=order)
        if paper.rejects(order.client_order_id, self._settings.seed, self._settings.reject_rate):
            self._close(live, OrderState.REJECTED)
            yield OrderRejected(ts_event=ts, reason="rejected by the paper venue", **_whose(order))
            return
        self.state.venue_orders += 1
        live.venue_order_id = f"P{self.state.venue_orders}"
        live.state = advance(live.state, OrderState.ACCEPTED)
        yield OrderAccepted(ts_event=ts, venue_order_id=live.venue_order_id, **_whose(order))

    def _on_trading_state(self, message: TradingStateChanged) -> Sequence[Message]:
        if message.state is TradingState.HALTED:
            self.state.halt_unconfirmed = False
            return self._halt(message.reason)
        if not self.state.halt_unconfirmed:  # else this was said before the guardian heard of the halt
            self.state.halted = False
        return ()

    def _halt(self, reason: str) -> Sequence[Message]:
        """Cancels all that works, but for what the guardian itself sent to flatten."""
        self.state.halted = True
        return self._cancel_working(reason, spare=_is_flattening)

    def _cancel_working(self, reason: str, spare: Callable[[Order], bool]) -> Sequence[Message]:
        """As of the last slice: who commands or misses a heartbeat lives by the wall clock, which a replay does not."""
        working = [live for live in self.state.orders.values() if live.state in WORKING and not spare(live.order)]
        return [self._cancel(live, self.state.ts, reason) for live in working]

    # --- the step ------------------------------------------------------------------------------------

    def _on_slice(self, message: MarketSlice) -> Sequence[Message]:
        if self.state.waiting or any(live.state is OrderState.APPROVED for live in self.state.orders.values()):
            self.state.waiting.append(message)
            return ()
        return self._step(message)

    def _step(self, message: MarketSlice) -> list[Message]:
        state = self.state
        outputs: list[Message] = []
        if state.orders:
            bars = {bar.instrument_id: bar for bar in message.bars if bar.base}
            quotes = {quote.instrument_id: quote for quote in message.quotes}
            for live in list(state.orders.values()):
                outputs.extend(self._work(live, message.ts_event, bars, quotes))
        state.step, state.ts = message.step, message.ts_event
        outputs.append(
            ExecutionStep(
                ts_event=message.ts_event,
                book=message.book,
                step=message.step,
                cash=dict(state.ledger.cash),
                positions=tuple(state.ledger.positions.values()),
                open_orders=tuple(_open(live) for live in state.orders.values()),
            )
        )
        return outputs

    def _work(self, live: LiveOrder, ts: int, bars: dict[str, Bar], quotes: dict[str, Quote]) -> Iterator[Message]:
        """An order that expires inside the slice trades no more: when in it the market was where is not known."""
        order = live.order
        market = self._market(live, ts, bars, quotes)
        in_time = order.expire_ns is None or ts <= order.expire_ns
        if market is not None and in_time and ts > live.ts_submitted + self._latency_ns:
            yield from self._trade(live, ts, market)
        if live.state in WORKING and order.expire_ns is not None and ts >= order.expire_ns:
            self._close(live, OrderState.EXPIRED)
            yield OrderExpired(ts_event=ts, leaves_qty=live.leaves_qty, **_whose(order))

    def _market(self, live: LiveOrder, ts: int, bars: dict[str, Bar], quotes: dict[str, Quote]) -> paper.Market | None:
        order = live.order
        if (quote := quotes.get(order.instrument_id)) is not None:
            return paper.market_of_quote(quote, order.side)
        if (bar := bars.get(order.instrument_id)) is None:
            return None
        instrument = self.state.instruments[order.instrument_id]
        return paper.market_of_bar(bar, instrument, ts - bar.timeframe.ns, live.ts_submitted)

    def _trade(self, live: LiveOrder, ts: int, market: paper.Market) -> Iterator[Message]:
        order, settings = live.order, self._settings
        instrument = self.state.instruments[order.instrument_id]
        found = paper.match(order, live.triggered, market, instrument)
        live.triggered = live.triggered or found.triggered
        wanted = self._wanted(live)
        if wanted <= 0:
            yield self._cancel(live, ts, "nothing left to reduce")
            return
        qty = ZERO
        if found.px is not None:
            qty = paper.fillable(wanted, market, instrument, settings.participation, settings.max_fill)
        if order.time_in_force is TimeInForce.FOK and qty < live.leaves_qty:
            yield self._cancel(live, ts, "fill or kill: not all of it could be filled")
            return
        if found.px is not None and qty > 0:
            yield self._fill(live, ts, qty, found.px, settings.maker_bps if found.maker else settings.taker_bps)
        if live.state in WORKING and (reason := self._why_no_more(live)):
            yield self._cancel(live, ts, reason)

    def _why_no_more(self, live: LiveOrder) -> str:
        if live.order.time_in_force is TimeInForce.IOC:
            return "immediate or cancel: the rest"
        return "" if self._wanted(live) > 0 else "nothing left to reduce"

    def _wanted(self, live: LiveOrder) -> Decimal:
        if not live.order.reduce_only:
            return live.leaves_qty
        held = self.state.ledger.qty(live.order.instrument_id) * -live.order.side.sign
        return min(live.leaves_qty, held)

    def _fill(self, live: LiveOrder, ts: int, qty: Decimal, px: Decimal, fee_bps: float) -> Message:
        order, instrument = live.order, self.state.instruments[live.order.instrument_id]
        fee = paper.commission(qty, px, fee_bps)
        live.cum_qty += qty
        live.cum_value += qty * px
        live.fills += 1
        self.state.ledger.apply_fill(instrument, qty * order.side.sign, px, fee)
        if live.leaves_qty > 0:
            live.state = advance(live.state, OrderState.PARTIALLY_FILLED)
        else:
            self._close(live, OrderState.FILLED)
        return OrderFilled(
            ts_event=ts,
            fill_id=f"{order.client_order_id}-F{live.fills}",
            venue_order_id=live.venue_order_id,
            side=order.side,
            last_qty=qty,
            last_px=px,
            cum_qty=live.cum_qty,
            leaves_qty=live.leaves_qty,
            avg_px=live.cum_value / live.cum_qty,
            commission=fee,
            commission_currency=instrument.quote,
            ref_px=order.ref_px,
            slippage_bps=paper.slippage_bps(order.side, px, order.ref_px),
            **_whose(order),
        )

    def _cancel(self, live: LiveOrder, ts: int, reason: str) -> Message:
        self._close(live, OrderState.CANCELED)
        return OrderCanceled(ts_event=ts, leaves_qty=live.leaves_qty, reason=reason, **_whose(live.order))

    def _close(self, live: LiveOrder, final: OrderState) -> None:
        live.state = advance(live.state, final)
        state = self.state
        del state.orders[live.order.client_order_id]
        state.closed[live.order.client_order_id] = None
        if len(state.closed) > CLOSED_IDS_KEPT:
            del state.closed[next(iter(state.closed))]

    def _denied(self, ts: int, order: Order, code: DenyCode, observed: Decimal, limit: Decimal) -> OrderDenied:
        return OrderDenied(ts_event=ts, order=order, code=code, observed=observed, limit=limit, by="execution")


def _is_flattening(order: Order) -> bool:
    return order.strategy_id == GUARDIAN and order.reduce_only and order.order_type is OrderType.MARKET


def _reduces(order: Order) -> bool:
    return order.reduce_only


def _whose(order: Order) -> dict[str, str]:
    return {
        "client_order_id": order.client_order_id,
        "account": order.account,
        "strategy_id": order.strategy_id,
        "instrument_id": order.instrument_id,
    }


def _open(live: LiveOrder) -> OpenOrder:
    return OpenOrder(
        client_order_id=live.order.client_order_id,
        instrument_id=live.order.instrument_id,
        signed_leaves_qty=live.leaves_qty * live.order.side.sign,
        reduce_only=live.order.reduce_only,
    )
