"""Orders and what becomes of them. FIX words: *denied* is by us, *rejected* by the venue."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

import msgspec

from common.messages.base import Message
from common.model.enums import Algorithm, DenyCode, OrderType, Side, TimeInForce
from common.model.ledger import Position


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to trade. `client_order_id` derives from business keys, so that a backtest and a live run on
    the same data name the same orders. `ref_px` is the price the decision was made at (arrival price).

    `parent_id` holds the order back until that order has filled, and then to what has filled of it (a bracket's exits). Of
    the orders with one `oco_group` what fills of one is taken off the others; when one is done the
    others are canceled. `algorithm` None lets execution choose; `urgency` in [0, 1] weighs time against cost in that.
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
    post_only: bool = False
    parent_id: str = ""
    oco_group: str = ""
    algorithm: Algorithm | None = None
    urgency: float = 0.5

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
    """Refused by the guardian, or by execution itself. `observed` against `limit`, in the check's own unit; `detail` in
    words, where numbers cannot say it.
    """

    TYPE: ClassVar[str] = "order.denied.v1"

    order: Order
    code: DenyCode
    observed: Decimal
    limit: Decimal
    by: str
    detail: str = ""


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
    maker: bool = False

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
    strategy_id: str = ""


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


class ProposeOrders(Message, frozen=True, kw_only=True):
    """An operator's orders, a bracket for instance; the guardian judges them like anybody's, and all or none pass."""

    TYPE: ClassVar[str] = "cmd.risk_guardian.propose.v1"

    book: str
    author: str
    orders: tuple[Order, ...]


class CancelOrder(Message, frozen=True, kw_only=True):
    """Takes a working order off the market. Needs no approval: it adds no risk."""

    TYPE: ClassVar[str] = "cmd.execution.cancel.v1"

    book: str
    author: str
    client_order_id: str
    reason: str


class AmendOrder(Message, frozen=True, kw_only=True):
    """Another quantity (the whole order's, filled part included) or prices for a working order; None leaves it. Judged by
    the guardian.
    """

    TYPE: ClassVar[str] = "cmd.risk_guardian.amend.v1"

    book: str
    author: str
    client_order_id: str
    qty: Decimal | None = None
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None


class AmendApproved(Message, frozen=True, kw_only=True):
    """The guardian lets this amendment pass; `order` is the whole order as it shall be."""

    TYPE: ClassVar[str] = "order.amend_approved.v1"

    order: Order
    step: int


class OrderAmended(Message, frozen=True, kw_only=True):
    """The venue took the amendment; `order` is the whole order as it is now."""

    TYPE: ClassVar[str] = "order.amended.v1"

    order: Order


class AmendRejected(Message, frozen=True, kw_only=True):
    """The order works on as it was; `order` is that."""

    TYPE: ClassVar[str] = "order.amend_rejected.v1"

    order: Order
    reason: str


class CancelRejected(Message, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "order.cancel_rejected.v1"

    client_order_id: str
    account: str
    strategy_id: str
    instrument_id: str
    reason: str


class ExecutionPlanned(Message, frozen=True, kw_only=True):
    """How an order is going to be worked, and what that is expected to cost in basis points of its notional (EXE-05, EXE-06):
    spread + fee + impact + delay = `expected_bps`, against `naive_bps` of a market order at once.
    """

    TYPE: ClassVar[str] = "order.planned.v1"

    client_order_id: str
    account: str
    strategy_id: str
    instrument_id: str
    algorithm: Algorithm
    slices: int
    end_ns: int
    spread_bps: float
    fee_bps: float
    impact_bps: float
    delay_bps: float
    expected_bps: float
    naive_bps: float
    reason: str


class OrderCosted(Message, frozen=True, kw_only=True):
    """What an order that is over cost, in basis points of its notional; positive is worse. `slippage_bps` is against the
    arrival price, `expected_bps` what was planned, `maker_share` the part of the quantity that added liquidity.
    """

    TYPE: ClassVar[str] = "order.costed.v1"

    client_order_id: str
    account: str
    strategy_id: str
    instrument_id: str
    algorithm: Algorithm
    filled_qty: Decimal
    avg_px: Decimal
    arrival_px: Decimal
    slippage_bps: float
    fee_bps: float
    total_bps: float
    expected_bps: float
    maker_share: float
    duration_ns: int


class FinancingCharged(Message, frozen=True, kw_only=True):
    """Interest, swap, borrowing fee or funding of a position that was held through `rolls` rolls, the last one at `rolled_ns`;
    booked to cash. `amount` > 0 was received, at the price `px`.
    """

    TYPE: ClassVar[str] = "execution.financing.v1"

    book: str
    account: str
    instrument_id: str
    rolls: int
    rolled_ns: int
    px: Decimal
    amount: Decimal
    currency: str


class BreakKind(StrEnum):
    """What of our book and the venue's does not agree."""

    POSITION = "POSITION"
    CASH = "CASH"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"  # works at the venue, not ours
    ORDER_MISSING = "ORDER_MISSING"  # works in our book, not at the venue
    FILL_MISSING = "FILL_MISSING"  # the venue has traded more than we have heard of


class ReconciliationBreak(Message, frozen=True, kw_only=True):
    """An entry in the ledger of breaks. While one stands `open` its instrument takes no new risk; others trade on."""

    TYPE: ClassVar[str] = "execution.break.v1"

    book: str
    break_id: str
    kind: BreakKind
    instrument_id: str
    ours: Decimal
    venue: Decimal
    open: bool
    action: str


class Reconciled(Message, frozen=True, kw_only=True):
    """One comparison with the venue is over."""

    TYPE: ClassVar[str] = "execution.reconciled.v1"

    book: str
    number: int
    open_breaks: int


class VenueHealth(Message, frozen=True, kw_only=True):
    """How the venue does; said when it changes. `usable` False: the connection is down or the circuit breaker open, nothing
    that adds risk goes out.
    """

    TYPE: ClassVar[str] = "execution.venue_health.v1"

    book: str
    venue: str
    connected: bool
    usable: bool
    failures: int
    reason: str
