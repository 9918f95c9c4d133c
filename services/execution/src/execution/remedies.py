"""What is done about a break, by its kind: one function each, that does it and says what in a few words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from common.messages.orders import BreakKind, Order, OrderAccepted, OrderAmended
from common.model.enums import OrderState, OrderType, Side
from common.model.ledger import Position
from common.model.money import ZERO
from execution import requests
from execution.booking import whose
from execution.context import Context
from execution.effects import CancelAtVenue
from execution.state import Break, LiveOrder

ADOPTED: Final = "adopted"
FOR_A_PERSON: Final = "waits for a person"


def _unknown_order(ctx: Context, found: Break, number: int, known: bool) -> str:
    """One that is over in our book is never adopted, nor one of an instrument that we do not trade."""
    state = ctx.state
    ours = found.order_id in state.closed or found.order_id in state.orders
    adopt = ctx.settings.reconciliation.unknown_orders == "adopt"
    if adopt and not ours and found.instrument_id in state.instruments:
        _adopt(ctx, found)
        return "adopted"
    ctx.out.append(
        CancelAtVenue(
            client_order_id=found.order_id,
            venue_order_id=found.venue_order_id,
            instrument_id=found.instrument_id,
            attempt=number,
        )
    )
    return "canceled at the venue"


def _adopt(ctx: Context, found: Break) -> None:
    """Its terms are not known; that it rests is."""
    order = Order(
        client_order_id=found.order_id,
        account=ctx.account.id,
        strategy_id=ADOPTED,
        instrument_id=found.instrument_id,
        side=Side.BUY if found.venue > 0 else Side.SELL,
        qty=abs(found.venue),
        ref_px=ZERO,
        order_type=OrderType.LIMIT,
        reason="worked at the venue, and was not ours",
    )
    ctx.state.orders[found.order_id] = LiveOrder(
        order=order,
        state=OrderState.ACCEPTED,
        ts_approved=ctx.ts,
        ts_submitted=ctx.ts,
        full_qty=order.qty,
        venue_order_id=found.venue_order_id,
    )
    ctx.out.append(OrderAccepted(ts_event=ctx.ts, venue_order_id=found.venue_order_id, **whose(order)))


def _missing_order(ctx: Context, found: Break, number: int, known: bool) -> str:
    if (live := ctx.state.orders.get(found.order_id)) is not None:
        requests.query(ctx, live)
    return "asked about at the venue"


def _missing_fill(ctx: Context, found: Break, number: int, known: bool) -> str:
    """Asked about first; a quantity that no execution explains is taken over."""
    live = ctx.state.orders.get(found.order_id)
    if live is None:
        return FOR_A_PERSON
    if not known:
        requests.query(ctx, live)
        return "asked about at the venue"
    live.order = msgspec.structs.replace(live.order, qty=live.cum_qty + abs(found.venue))
    ctx.out.append(OrderAmended(ts_event=ctx.ts, order=live.order))
    return "the venue's quantity is taken over"


def _position(ctx: Context, found: Break, number: int, known: bool) -> str:
    if not ctx.settings.reconciliation.adopt_positions:
        return FOR_A_PERSON
    positions = ctx.state.ledger.positions
    held = positions.get(found.instrument_id) or Position(
        instrument_id=found.instrument_id, signed_qty=ZERO, avg_px=ZERO
    )
    positions[found.instrument_id] = msgspec.structs.replace(held, signed_qty=found.venue)
    return "the venue's position is taken over"


def _cash(ctx: Context, found: Break, number: int, known: bool) -> str:
    if not ctx.settings.reconciliation.adopt_positions:
        return FOR_A_PERSON
    ctx.state.ledger.cash[found.instrument_id] = found.venue
    return "the venue's cash is taken over"


REMEDIES: Final[dict[BreakKind, Callable[[Context, Break, int, bool], str]]] = {
    BreakKind.ORDER_UNKNOWN: _unknown_order,
    BreakKind.ORDER_MISSING: _missing_order,
    BreakKind.FILL_MISSING: _missing_fill,
    BreakKind.POSITION: _position,
    BreakKind.CASH: _cash,
}
