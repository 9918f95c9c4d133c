"""The words of the reference venue, on its wire: JSON, prices and quantities as decimal strings."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from common.model.enums import OrderType, Side, TimeInForce

TOKEN_HEADER = "Fencing-Token"  # noqa: S105 the name of a header
# CLOCK_MONOTONIC, nanoseconds: both sides are on one machine. A request read later than that is not done any more, so that
# what was given up as lost cannot come true afterwards (elsewhere: Binance's recvWindow, FIX's ExpireTime).
VALID_UNTIL_HEADER = "Valid-Until-Ns"


class OrderStatus(StrEnum):
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"

    @property
    def working(self) -> bool:
        return self in {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED}


class WireTrade(msgspec.Struct, frozen=True, kw_only=True):
    client_order_id: str
    order_id: str
    trade_id: str
    qty: Decimal
    px: Decimal
    fee: Decimal
    fee_currency: str
    maker: bool


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /orders`."""

    client_order_id: str
    instrument_id: str
    side: Side
    qty: Decimal
    order_type: OrderType
    time_in_force: TimeInForce
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    expire_ns: int | None = None
    reduce_only: bool = False
    post_only: bool = False


class NewTerms(msgspec.Struct, frozen=True, kw_only=True):
    """`PATCH /orders/{client_order_id}`: the whole order's terms, filled part included."""

    qty: Decimal
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None


class CancelOrders(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /orders/cancel`."""

    client_order_ids: tuple[str, ...]


class WireOrder(msgspec.Struct, kw_only=True):
    """An order as the venue has it."""

    terms: NewOrder
    order_id: str
    status: OrderStatus = OrderStatus.NEW
    cum_qty: Decimal = Decimal(0)
    triggered: bool = False
    trades: list[WireTrade] = msgspec.field(default_factory=list)

    @property
    def leaves_qty(self) -> Decimal:
        return self.terms.qty - self.cum_qty


class ReportKind(StrEnum):
    ACCEPTED = "ACCEPTED"
    TRADED = "TRADED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    AMENDED = "AMENDED"


class WireReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="report"):
    """One line of `/reports`. `seq` rises by one; a hole in it is a report that got lost. `status` is the order's now."""

    seq: int
    kind: ReportKind
    client_order_id: str
    order_id: str
    instrument_id: str
    status: OrderStatus
    reason: str = ""
    trade: WireTrade | None = None
    terms: NewTerms | None = None


class WireHello(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="hello"):
    """First line of `/reports`, and again whenever there is nothing to say: the number of the last report before."""

    seq: int


class WireAccount(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /account`: working orders, signed positions, cash, and every trade."""

    orders: list[WireOrder]
    positions: dict[str, Decimal]
    cash: dict[str, Decimal]
    trades: list[WireTrade]


class WireError(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer from 400 on. `order` is what a duplicate is a duplicate of."""

    code: str
    reason: str
    order: WireOrder | None = None


class WireCancel(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one of several cancels; without an error it is done."""

    client_order_id: str
    error: WireError | None = None
