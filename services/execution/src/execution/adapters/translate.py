"""Between the reference venue's words and ours. Pure; judges nothing."""

from __future__ import annotations

from typing import Final

from common.messages.orders import Order
from common.messages.venue import (
    Accepted,
    Amended,
    Canceled,
    Expired,
    Report,
    Status,
    Traded,
    VenueOrder,
    VenueSnapshot,
)
from execution.adapters.wire import (
    NewOrder,
    NewTerms,
    ReportKind,
    WireAccount,
    WireOrder,
    WireReport,
    WireTrade,
)

TRADES_KEPT: Final = 2_000  # of a snapshot, the newest: it travels as one message


def new_order(order: Order) -> NewOrder:
    return NewOrder(
        client_order_id=order.client_order_id,
        instrument_id=order.instrument_id,
        side=order.side,
        qty=order.qty,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        limit_px=order.limit_px,
        stop_px=order.stop_px,
        expire_ns=order.expire_ns,
        reduce_only=order.reduce_only,
        post_only=order.post_only,
    )


def new_terms(order: Order) -> NewTerms:
    return NewTerms(qty=order.qty, limit_px=order.limit_px, stop_px=order.stop_px)


def traded(trade: WireTrade) -> Traded:
    return Traded(
        client_order_id=trade.client_order_id,
        venue_order_id=trade.order_id,
        trade_id=trade.trade_id,
        last_qty=trade.qty,
        last_px=trade.px,
        commission=trade.fee,
        commission_currency=trade.fee_currency,
        maker=trade.maker,
    )


def report(line: WireReport) -> Report:
    order_id = line.client_order_id
    match line.kind:
        case ReportKind.ACCEPTED:
            return Accepted(client_order_id=order_id, venue_order_id=line.order_id)
        case ReportKind.TRADED:
            assert line.trade is not None
            return traded(line.trade)
        case ReportKind.CANCELED:
            return Canceled(client_order_id=order_id, reason=line.reason)
        case ReportKind.EXPIRED:
            return Expired(client_order_id=order_id)
        case ReportKind.AMENDED:
            assert line.terms is not None
            terms = line.terms
            return Amended(client_order_id=order_id, qty=terms.qty, limit_px=terms.limit_px, stop_px=terms.stop_px)


def status(order: WireOrder) -> Status:
    return Status(
        client_order_id=order.terms.client_order_id,
        venue_order_id=order.order_id,
        working=order.status.working,
        final="" if order.status.working else str(order.status),
        trades=tuple(map(traded, order.trades)),
    )


def snapshot(account: WireAccount, number: int, ts_event: int) -> VenueSnapshot:
    return VenueSnapshot(
        ts_event=ts_event,
        number=number,
        orders=tuple(
            VenueOrder(
                client_order_id=order.terms.client_order_id,
                venue_order_id=order.order_id,
                instrument_id=order.terms.instrument_id,
                signed_leaves_qty=order.leaves_qty * order.terms.side.sign,
            )
            for order in account.orders
        ),
        positions=account.positions,
        cash=account.cash,
        trades=tuple(map(traded, account.trades[-TRADES_KEPT:])),
    )
