"""Sends an order out, takes it off the market, changes it: the ways that everything takes, whoever wants it."""

from __future__ import annotations

import msgspec

from common.messages.orders import AmendApproved, AmendRejected, Order, OrderAmended, OrderSubmitted
from common.model.enums import OrderState
from execution import requests
from execution.adapters.paper_venue import NOTHING_TO_REDUCE
from execution.admission import gate
from execution.booking import deny, end
from execution.context import Context
from execution.state import LiveOrder
from execution.transitions import FINAL, UNSENT, WORKING, advance


def submit(ctx: Context, live: LiveOrder) -> None:
    """Sends what is recorded; judged once more before. What reduces waits for a venue that is not usable."""
    if (found := gate(ctx, live.order)) is not None:
        deny(ctx, live, *found)
        return
    if ctx.paper is None:
        if not ctx.state.connection.usable:
            live.state = advance(live.state, OrderState.HELD) if live.state is OrderState.APPROVED else live.state
            return
        if live.order.reduce_only and not _fits_position(ctx, live):
            end(ctx, live, OrderState.CANCELED, NOTHING_TO_REDUCE)
            return
    live.state = advance(live.state, OrderState.SUBMITTED)
    live.ts_submitted = ctx.ts
    ctx.out.append(OrderSubmitted(ts_event=ctx.ts, order=live.order))
    requests.send(ctx, live)


def release(ctx: Context) -> None:
    """The venue is usable again: sends what has waited for it."""
    for live in list(ctx.state.orders.values()):
        if live.state is not OrderState.HELD or live.progress is not None:
            continue
        if live.order.parent_id:
            ctx.note(live)
        else:
            submit(ctx, live)


def withdraw(ctx: Context, live: LiveOrder, reason: str, *, firm: bool = True) -> None:
    """Off the market, at once where the venue has not got it. `firm` ones are asked for until the order is gone."""
    if live.state in FINAL:
        return
    live.firm = live.firm or firm
    if live.progress is not None:
        live.cancel_reason = live.cancel_reason or reason
        _withdraw_parts(ctx, live)
        return
    if live.state in UNSENT or live.unsent:
        end(ctx, live, OrderState.CANCELED, reason)
        return
    live.cancel_reason = live.cancel_reason or reason
    if not live.cancel:
        requests.cancel(ctx, live)


def _withdraw_parts(ctx: Context, live: LiveOrder) -> None:
    name = live.order.client_order_id
    parts = [part for part in ctx.state.orders.values() if part.worked_for == name]
    if not parts:
        end(ctx, live, OrderState.CANCELED, live.cancel_reason)
    for part in parts:
        withdraw(ctx, part, live.cancel_reason)


def amend(ctx: Context, message: AmendApproved) -> None:
    """Another quantity or prices for a working or waiting order."""
    order = message.order
    live = ctx.state.orders.get(order.client_order_id)
    if (reason := _why_not(ctx, live, order)) or live is None:
        terms = live.order if live is not None else order
        ctx.out.append(AmendRejected(ts_event=ctx.ts, order=terms, reason=reason))
        return
    live.full_qty = order.qty
    if live.state is OrderState.HELD:
        live.order = order
        ctx.out.append(OrderAmended(ts_event=ctx.ts, order=order))
        return
    requests.amend(ctx, live, order)


def _why_not(ctx: Context, live: LiveOrder | None, to: Order) -> str:
    if live is None:
        return "no such order works"
    now = live.order
    rules = (
        (live.progress is not None or bool(live.worked_for), "it is worked in parts"),
        (live.state is not OrderState.HELD and live.state not in WORKING, f"it is {live.state}"),
        (bool(live.cancel_reason), "it is being canceled"),
        (bool(live.amend), "an amendment is under way"),
        (
            msgspec.structs.replace(to, qty=now.qty, limit_px=now.limit_px, stop_px=now.stop_px) != now,
            "more than quantity and prices",
        ),
        (
            (to.limit_px is None) != (now.limit_px is None) or (to.stop_px is None) != (now.stop_px is None),
            "another order type",
        ),
        (live.linked and to.qty != now.qty, "its quantity follows its parent or group"),
        (to.qty <= live.cum_qty, f"{live.cum_qty:f} have filled already"),
    )
    for applies, reason in rules:
        if applies:
            return reason
    refused = gate(ctx, to)
    return f"{refused.code}" if refused is not None else ""


def _fits_position(ctx: Context, live: LiveOrder) -> bool:
    """Cuts an exit to what there is to exit from; False where that is nothing."""
    left = ctx.held_against(live)
    if left <= 0:
        return False
    if left < live.order.qty:
        live.order = msgspec.structs.replace(live.order, qty=left)
    return True
