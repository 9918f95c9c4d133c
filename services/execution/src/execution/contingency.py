"""Orders that hang together (EXE-03): brackets and one-cancels-other.

The rules, whole: a child waits until its parent fills, and works then for what has filled of it, less what others of its
group have filled. When a parent ends unfilled its children are canceled; when an exit fills, the rest of its
parent is. When one of a group is filled, canceled or expired, the others are canceled; a rejected one leaves the others
their work. At a real venue an exit follows the position too: never more than there is to exit from.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from common.model.enums import OrderState
from common.model.money import ZERO
from execution import requests
from execution.context import Context, Happened
from execution.routing import submit, withdraw
from execution.state import LiveOrder
from execution.transitions import FINAL, WORKING

_ENDS_ITS_GROUP: Final = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED})


def react(ctx: Context, event: Happened) -> None:
    """Lets others follow what has happened to one."""
    live = event.live
    if live.worked_for:
        return
    if event.filled > 0:
        _after_fill(ctx, live, event.filled)
    elif live.state in FINAL:
        _after_end(ctx, live)
    else:
        follow(ctx, live)


def follow(ctx: Context, live: LiveOrder) -> None:
    """Brings the quantity of one order to what it may be now."""
    if not _bound(ctx, live) or live.progress is not None or live.worked_for or live.cancel_reason or live.amend:
        return
    qty = _allowed(ctx, live)
    if live.state is OrderState.HELD and qty > 0:
        live.order = msgspec.structs.replace(live.order, qty=qty)
        submit(ctx, live)
    elif live.state in WORKING and qty <= live.cum_qty:
        withdraw(ctx, live, "nothing is left for it to do")
    elif live.state in WORKING and qty != live.order.qty:
        requests.amend(ctx, live, msgspec.structs.replace(live.order, qty=qty))


def _bound(ctx: Context, live: LiveOrder) -> bool:
    order = live.order
    return bool(order.parent_id or order.oco_group) or (order.reduce_only and ctx.paper is None)


def _allowed(ctx: Context, live: LiveOrder) -> Decimal:
    """Its quantity, the filled part included."""
    qty = min(live.full_qty, live.parent_filled) if live.order.parent_id else live.full_qty
    qty = max(qty - live.taken, ZERO)
    if live.order.reduce_only and ctx.paper is None:
        qty = min(qty, live.cum_qty + max(ctx.held_against(live), ZERO))
    return qty


def _after_fill(ctx: Context, live: LiveOrder, qty: Decimal) -> None:
    if live.linked:
        for child in _children(ctx, live):
            child.parent_filled = live.cum_qty
            follow(ctx, child)
        for other in _group(ctx, live):
            other.taken += qty
            follow(ctx, other)
        parent = ctx.state.orders.get(live.order.parent_id)
        if parent is not None:
            withdraw(ctx, parent, "its exit has filled")
    if ctx.paper is None:
        for exit_ in list(ctx.state.orders.values()):
            if exit_.order.reduce_only and exit_.order.instrument_id == live.order.instrument_id:
                follow(ctx, exit_)


def _after_end(ctx: Context, live: LiveOrder) -> None:
    if not live.linked:
        return
    if not live.cum_qty:
        for child in _children(ctx, live):
            withdraw(ctx, child, "its parent has ended unfilled")
    if live.state in _ENDS_ITS_GROUP:
        for other in _group(ctx, live):
            withdraw(ctx, other, f"{live.order.client_order_id} is {live.state}")


def _children(ctx: Context, live: LiveOrder) -> list[LiveOrder]:
    name = live.order.client_order_id
    return [other for other in ctx.state.orders.values() if other.order.parent_id == name and not other.worked_for]


def _group(ctx: Context, live: LiveOrder) -> list[LiveOrder]:
    group = live.order.oco_group
    if not group:
        return []
    return [other for other in ctx.state.orders.values() if other.order.oco_group == group and other is not live]
