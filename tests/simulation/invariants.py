"""What must hold whatever happens, recomputed from the tape and from the venue's side by arithmetic of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import msgspec
from tests.simulation.system import ACCOUNT, LIMITS

from common.contracts import FROM_OUTSIDE, INPUTS
from common.core import Core, Effect
from common.lockstep import Lockstep
from common.messages import Envelope, Message
from common.messages.control import InstrumentsDefined, LeaseTaken
from common.messages.market_data import MarketSlice
from common.messages.orders import (
    AmendApproved,
    AmendRejected,
    ExecutionStep,
    FinancingCharged,
    IntentRecorded,
    Order,
    OrderAmended,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
)
from common.messages.risk import HaltTrading, RiskStep, TradingStateChanged
from common.model.enums import OrderType, TradingState
from common.model.money import ZERO
from execution.effects import RecordIntent

GUARDIAN: Final = "risk_guardian"
_A_LITTLE: Final = Decimal("0.000001")


class Violation(AssertionError):
    """An invariant does not hold."""


@dataclass
class GuardianView:
    """What the guardian can know when it judges: everything on the tape up to the message it answers, and its own words."""

    read: int = 0
    px: dict[str, Decimal] = field(default_factory=dict)
    positions: dict[str, Decimal] = field(default_factory=dict)
    cash: Decimal = ACCOUNT.starting_cash
    equity: Decimal = ACCOUNT.starting_cash
    orders: dict[str, Order] = field(default_factory=dict)
    leaves: dict[str, Decimal] = field(default_factory=dict)
    filled: dict[str, Decimal] = field(default_factory=dict)  # signed

    def advance(self, messages: Sequence[tuple[Envelope, Message]], to_seq: int) -> None:
        while self.read < to_seq:
            self._see(messages[self.read][1])
            self.read += 1

    def judge(self, order: Order, trading: TradingState) -> None:
        """Whether this approval keeps the limits; it works from now on."""
        held = self._worst(order.instrument_id, order.side.sign)
        shrinks = held * order.signed_qty < 0 and order.qty <= abs(held)
        gross_before = self._gross()
        self.orders[order.client_order_id] = order
        if not order.parent_id:
            self.leaves[order.client_order_id] = order.signed_qty
        if order.strategy_id == GUARDIAN or shrinks or order.parent_id:
            return
        name, px, equity = order.client_order_id, self.px[order.instrument_id], self.equity
        _hold(trading is TradingState.ACTIVE, f"{name} opens or grows while {trading}")
        position = abs(self._worst(order.instrument_id, order.side.sign)) * px
        gross = self._gross()
        if gross <= gross_before:
            gross = ZERO  # prices have carried it over the limit, not this order
        for what, value, limit in (
            ("order", order.qty * px, LIMITS.max_order_notional),
            ("position", position, LIMITS.max_position),
            ("gross exposure", gross, LIMITS.max_gross_exposure),
        ):
            _hold(
                value <= equity * _exact(limit) + _A_LITTLE, f"{name}: {what} {value} over {limit} of equity {equity}"
            )

    def _see(self, message: Message) -> None:
        match message:
            case MarketSlice():
                self.px.update({bar.instrument_id: Decimal(str(bar.close)) for bar in message.bars if bar.base})
            case ExecutionStep():
                held = (qty * self.px[name] for name, qty in self.positions.items() if qty)
                self.equity = self.cash + sum(held, ZERO)
            case FinancingCharged():
                self.cash += message.amount
            case OrderFilled():
                self.positions[message.instrument_id] = (
                    self.positions.get(message.instrument_id, ZERO) + message.signed_qty
                )
                self.cash -= message.signed_qty * message.last_px + message.commission
                self.filled[message.client_order_id] = (
                    self.filled.get(message.client_order_id, ZERO) + message.signed_qty
                )
                if message.leaves_qty == 0:  # also of a reduce-only order that was cut to the position
                    self.leaves.pop(message.client_order_id, None)
                elif message.client_order_id in self.leaves:
                    self.leaves[message.client_order_id] -= message.signed_qty
            case OrderAmended() | AmendRejected() if message.order.client_order_id in self.leaves:
                order_id = message.order.client_order_id
                self.leaves[order_id] = message.order.signed_qty - self.filled.get(order_id, ZERO)
            case OrderCanceled() | OrderExpired() | OrderRejected():
                self.leaves.pop(message.client_order_id, None)
            case OrderDenied() if message.by == "execution":
                self.leaves.pop(message.order.client_order_id, None)

    def amended(self, order: Order) -> None:
        """Until the venue has answered, the larger of the two quantities can come."""
        order_id = order.client_order_id
        if order_id in self.leaves:
            after = order.signed_qty - self.filled.get(order_id, ZERO)
            self.leaves[order_id] = max(self.leaves[order_id], after, key=abs)

    def _gross(self) -> Decimal:
        return sum((max(abs(self._worst(one, 1)), abs(self._worst(one, -1))) * self.px[one] for one in self.px), ZERO)

    def _worst(self, instrument_id: str, sign: int) -> Decimal:
        working = (
            qty
            for order_id, qty in self.leaves.items()
            if self.orders[order_id].instrument_id == instrument_id and qty * sign > 0
        )
        return self.positions.get(instrument_id, ZERO) + sum(working, ZERO)


@dataclass
class Watch:
    """Sees every entry as it is stored, and every order that reaches the venue."""

    messages: list[tuple[Envelope, Message]] = field(default_factory=list)
    approved: dict[str, Order] = field(default_factory=dict)
    leaves: dict[str, Decimal] = field(default_factory=dict)
    positions: dict[str, Decimal] = field(default_factory=dict)
    cash: Decimal = ACCOUNT.starting_cash
    fills: dict[str, OrderFilled] = field(default_factory=dict)
    filled: dict[str, Decimal] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    px: dict[str, Decimal] = field(default_factory=dict)
    view: GuardianView = field(default_factory=GuardianView)
    trading: TradingState = TradingState.ACTIVE
    stopped_at: int | None = None
    reducing_at: int | None = None
    risk_steps: int = 0
    journal: set[str] = field(default_factory=set)
    leaders: dict[str, str] = field(default_factory=dict)
    failovers: int = 0

    # --- the tape ------------------------------------------------------------------------------------

    def stored(self, seq: int, envelope: Envelope, message: Message) -> None:  # noqa: C901, PLR0912 (a table of what is watched)
        self.messages.append((envelope, message))
        match message:
            case MarketSlice():
                self.px.update({bar.instrument_id: Decimal(str(bar.close)) for bar in message.bars if bar.base})
            case OrderApproved():
                self._approved(envelope, message)
            case AmendApproved():
                self.view.advance(self.messages, envelope.cause_seq)
                self.view.amended(message.order)
                self._amend_approved(message.order)
            case OrderSubmitted():
                self._submitted(envelope, message.order)
            case FinancingCharged():
                self.cash += message.amount
            case OrderFilled():
                self._filled(envelope, message)
            case OrderCanceled() | OrderExpired() | OrderRejected():
                self.leaves.pop(message.client_order_id, None)
            case OrderDenied():
                if message.by == "execution":
                    self.leaves.pop(message.order.client_order_id, None)
            case HaltTrading():
                self.stopped_at = self.stopped_at or seq
            case TradingStateChanged():
                self._state(seq, message.state)
            case LeaseTaken():
                self.failovers += self.leaders.get(message.service, message.instance) != message.instance
                self.leaders[message.service] = message.instance
            case RiskStep():
                self.risk_steps += 1
                _hold(message.step == self.risk_steps, f"step {message.step} closed as number {self.risk_steps}")

    def _state(self, seq: int, state: TradingState) -> None:
        self.trading = state
        self.stopped_at = (self.stopped_at or seq) if state is TradingState.HALTED else None
        self.reducing_at = seq if state is TradingState.REDUCING else None

    def _approved(self, envelope: Envelope, message: OrderApproved) -> None:
        order = message.order
        _hold(order.client_order_id not in self.approved, f"{order.client_order_id} was approved twice")
        self.view.advance(self.messages, envelope.cause_seq)
        self.view.judge(order, self.trading)
        self.approved[order.client_order_id] = order
        self.leaves[order.client_order_id] = order.signed_qty

    def _amend_approved(self, order: Order) -> None:
        """From now on as much may fill as either asks for."""
        before = self.approved[order.client_order_id]
        self.approved[order.client_order_id] = max(before, order, key=lambda one: one.qty)

    def _submitted(self, envelope: Envelope, order: Order) -> None:
        late = self.stopped_at is not None and envelope.cause_seq > self.stopped_at
        _hold(not late or _flattens(order), f"{order.client_order_id} was submitted after a stop")

    def _filled(self, envelope: Envelope, fill: OrderFilled) -> None:
        order = self.approved.get(fill.client_order_id)
        _hold(order is not None, f"{fill.client_order_id} was filled and never approved")
        assert order is not None
        _hold(fill.fill_id not in self.fills, f"fill {fill.fill_id} was said twice")
        self.fills[fill.fill_id] = fill
        done = self.filled[fill.client_order_id] = self.filled.get(fill.client_order_id, ZERO) + fill.last_qty
        _hold(done <= order.qty, f"{fill.client_order_id}: {done} filled of {order.qty}")
        before = self.positions.get(fill.instrument_id, ZERO)
        after = self.positions[fill.instrument_id] = before + fill.signed_qty
        self.cash -= fill.signed_qty * fill.last_px + fill.commission
        if fill.leaves_qty == 0:
            self.leaves.pop(fill.client_order_id, None)
        elif fill.client_order_id in self.leaves:
            self.leaves[fill.client_order_id] -= fill.signed_qty
        if order.reduce_only and not order.parent_id and fill.venue_order_id.startswith("P"):
            _hold(
                before * after >= 0 and abs(after) < abs(before), f"{fill.client_order_id} reduces {before} to {after}"
            )
        paper_reducing = self.reducing_at is not None and fill.venue_order_id.startswith("P")
        if paper_reducing and envelope.cause_seq > self.reducing_at:
            _hold(
                abs(after) < abs(before) and before * after >= 0, f"{fill.fill_id} took {before} to {after} in REDUCING"
            )

    # --- the venue -----------------------------------------------------------------------------------

    def reached_venue(self, order: Order, execution_seq: int) -> None:
        """`execution_seq` is how far execution had read when the order went out."""
        approved = self.approved.get(order.parent_id) or self.approved.get(order.client_order_id)
        _hold(approved is not None, f"{order.client_order_id} reached the venue and was never approved")
        self.sent[order.client_order_id] += 1
        _hold(
            order.reduce_only or order.client_order_id in self.journal or order.parent_id in self.journal,
            f"{order.client_order_id} reached the venue before its intent was recorded",
        )
        late = self.stopped_at is not None and execution_seq >= self.stopped_at
        _hold(not late or _flattens(order), f"{order.client_order_id} reached the venue after a stop")

    # --- in the end ----------------------------------------------------------------------------------

    def replay(self, name: str, core: Core) -> None:
        """A fresh core that reads the tape says exactly what is on it: nothing is missing, nothing there twice."""
        said = [
            (envelope.cause_seq, envelope.cause_index, message)
            for envelope, message in self.messages
            if envelope.source == name and type(message) not in FROM_OUTSIDE
        ]
        again: list[tuple[int, int, Message]] = []
        for seq, (_, message) in enumerate(self.messages, start=1):
            if type(message) in INPUTS[name]:
                outputs = [output for output in core.handle(message) if not isinstance(output, Effect)]
                again.extend((seq, index, output) for index, output in enumerate(outputs))
        for had, has in zip(said, again, strict=False):
            _hold(had == has, f"{name} had said {had}, says {has} again")
        _hold(len(said) == len(again), f"{name} had said {len(said)} messages, says {len(again)} again")

    def same_as_in_one_process(self, cores: Mapping[str, Core]) -> None:
        """The same market data through the same cores without a broker: the same orders, the same fills."""
        fed = (message for _, message in self.messages if isinstance(message, InstrumentsDefined | MarketSlice))
        said = list(Lockstep(cores, _recorded).run(fed))
        orders = {one.order.client_order_id: one.order for one in said if isinstance(one, OrderApproved)}
        fills = {one.fill_id: _whichever(one) for one in said if isinstance(one, OrderFilled)}
        ours = {name: _whichever(fill) for name, fill in self.fills.items()}
        for what, here, there in (("orders", self.approved, orders), ("fills", ours, fills)):
            odd = next((name for name in {**here, **there} if here.get(name) != there.get(name)), "")
            _hold(not odd, f"{what}: {odd} is {here.get(odd)} here and {there.get(odd)} in one process")

    def books_agree(self, name: str, positions: dict[str, Decimal], cash: dict[str, Decimal]) -> None:
        """A ledger against the sum of the fills on the tape."""
        for instrument_id in {**positions, **self.positions}:
            theirs, ours = positions.get(instrument_id, ZERO), self.positions.get(instrument_id, ZERO)
            _hold(theirs == ours, f"{name} holds {theirs} of {instrument_id}; the fills add up to {ours}")
        _hold(cash.get("USD", ZERO) == self.cash, f"{name} has {cash.get('USD')} in cash; the fills leave {self.cash}")


def _whichever(fill: OrderFilled) -> OrderFilled:
    """But for the paper venue's number: the guardian's own orders wait for nobody, so two of them may overtake each other."""
    return msgspec.structs.replace(fill, venue_order_id="")


def _recorded(effect: Effect) -> list[Message]:
    assert isinstance(effect, RecordIntent)
    return [IntentRecorded(ts_event=effect.ts_event, client_order_id=effect.order.client_order_id)]


def _flattens(order: Order) -> bool:
    return order.strategy_id == GUARDIAN and order.reduce_only and order.order_type is OrderType.MARKET


def _hold(true: bool, what: str) -> None:
    if not true:
        raise Violation(what)


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))
