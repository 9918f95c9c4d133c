"""Orders and what becomes of them. FIX words: *denied* is by us, *rejected* by the venue."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

import msgspec

from common.messages.base import Message
from common.model.enums import DenyCode, OrderType, Side, TimeInForce
from common.model.ledger import Position


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to trade. `client_order_id` derives from business keys, so that a backtest and a live run on
    the same data name the same orders. `ref_px` is the price the decision was made at (arrival price).
    """

    client_order_id: str
    account: str
    strategy_id: str
    instrument_id: str
    side: Side
    qty: Decimal
    ref_px: Decimal
    order_type: OrderType = OrderType.MARKET
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expire_ns: int | None = None
    reduce_only: bool = False
    reason: str = ""

    @property
    def signed_qty(self) -> Decimal:
        """> 0 buys."""
        return self.qty * self.side.sign


class OrderApproved(Message, frozen=True, kw_only=True):
    """The guardian lets this order pass; only the guardian may say so. `resized_from` is the quantity asked for."""

    TYPE: ClassVar[str] = "order.approved.v1"

    order: Order
    step: int
    resized_from: Decimal | None = None
    rule: str = ""  # the check that resized, with its numbers; or the ladder that ordered a cut


class OrderDenied(Message, frozen=True, kw_only=True):
    """Refused by the guardian, or by execution itself. `observed` against `limit`, in the check's own unit."""

    TYPE: ClassVar[str] = "order.denied.v1"

    order: Order
    code: DenyCode
    observed: Decimal
    limit: Decimal
    by: str


class OrderSubmitted(Message, frozen=True, kw_only=True):
    """The intent is recorded; the venue hears of the order next."""

    TYPE: ClassVar[str] = "order.submitted.v1"

    order: Order


class OrderAccepted(Message, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "order.accepted.v1"

    client_order_id: str
    venue_order_id: str
    account: str
    strategy_id: str
    instrument_id: str


class OrderRejected(Message, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "order.rejected.v1"

    client_order_id: str
    account: str
    strategy_id: str
    instrument_id: str
    reason: str


class OrderFilled(Message, frozen=True, kw_only=True):
    """One execution. `leaves_qty` > 0 is a partial fill. `slippage_bps` is against `ref_px`, positive is worse."""

    TYPE: ClassVar[str] = "order.filled.v1"

    fill_id: str
    client_order_id: str
    venue_order_id: str
    account: str
    strategy_id: str
    instrument_id: str
    side: Side
    last_qty: Decimal
    last_px: Decimal
    cum_qty: Decimal
    leaves_qty: Decimal
    avg_px: Decimal
    commission: Decimal
    commission_currency: str
    ref_px: Decimal
    slippage_bps: float

    @property
    def signed_qty(self) -> Decimal:
        """> 0 bought."""
        return self.last_qty * self.side.sign


class OrderCanceled(Message, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "order.canceled.v1"

    client_order_id: str
    account: str
    strategy_id: str
    instrument_id: str
    leaves_qty: Decimal
    reason: str


class OrderExpired(Message, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "order.expired.v1"

    client_order_id: str
    account: str
    strategy_id: str
    instrument_id: str
    leaves_qty: Decimal


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that can still trade."""

    client_order_id: str
    instrument_id: str
    signed_leaves_qty: Decimal
    reduce_only: bool


class ExecutionStep(Message, frozen=True, kw_only=True):
    """Orders, positions and cash as of `ts_event`, after the fills of this slice."""

    TYPE: ClassVar[str] = "execution.step.v1"

    book: str
    step: int
    cash: dict[str, Decimal]
    positions: tuple[Position, ...] = ()
    open_orders: tuple[OpenOrder, ...] = ()


class IntentRecorded(Message, frozen=True, kw_only=True):
    """Execution's shell: the intent is in PostgreSQL, committed."""

    TYPE: ClassVar[str] = "execution.intent_recorded.v1"

    client_order_id: str


class IntentFailed(Message, frozen=True, kw_only=True):
    """Execution's shell: the order must not go out (`code`), unless it reduces."""

    TYPE: ClassVar[str] = "execution.intent_failed.v1"

    client_order_id: str
    code: DenyCode
    detail: str


class GuardianLost(Message, frozen=True, kw_only=True):
    """Execution's shell: no heartbeat of the guardian for too long. Orders that add risk are canceled."""

    TYPE: ClassVar[str] = "execution.guardian_lost.v1"

    silent_s: float
