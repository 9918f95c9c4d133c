"""Works an order in parts where an algorithm says so (EXE-05): plan and schedule say what, here it is done.

Parts are orders like any: recorded before they are sent, judged before they are sent. What is in flight and filled of them
is never more than the whole, whatever a schedule says.
"""

from __future__ import annotations

from common.messages.orders import Order
from common.model.enums import DenyCode, OrderState
from common.model.money import ZERO
from execution.admission import gate
from execution.algorithms import choose, planned
from execution.booking import deny, end, say_denied
from execution.context import Context, Happened
from execution.effects import RecordIntent
from execution.routing import withdraw
from execution.schedule import Progress, Submit, is_over, next_actions
from execution.state import LiveOrder
from execution.transitions import FINAL, advance


def begin(ctx: Context, live: LiveOrder) -> bool:
    """Whether the order is worked in parts from here on; False: it goes to the venue as it is."""
    order, settings = live.order, ctx.settings.algorithms
    if not settings.enabled or order.parent_id or order.oco_group:
        return False
    view = ctx.state.view.instruments.get(order.instrument_id)
    live.plan = choose(order, view, settings, ctx.fees(), ctx.ts)
    if live.plan.direct:
        return False
    if (found := gate(ctx, order)) is not None:
        deny(ctx, live, *found)
        return True
    live.progress = Progress()
    live.state = advance(live.state, OrderState.HELD)
    ctx.out.append(planned(order, live.plan, ctx.ts))
    _drive(ctx, live)
    return True


def react(ctx: Context, event: Happened) -> None:
    """A part has filled or ended: the whole goes on."""
    live = event.live
    if live.progress is not None and live.state in FINAL:
        for part in _parts(ctx, live):
            withdraw(ctx, part, f"the whole is {live.state}")
    whole = ctx.state.orders.get(live.worked_for) if live.worked_for else None
    if whole is None or whole.progress is None:
        return
    if event.filled > 0:
        whole.progress.fill(live.order.client_order_id, event.filled)
    elif live.state in FINAL:
        whole.progress.close(live.order.client_order_id)
    _drive(ctx, whole)


def on_slice(ctx: Context) -> None:
    """Time has passed."""
    for live in [live for live in ctx.state.orders.values() if live.progress is not None]:
        if live.order.expire_ns is not None and ctx.ts >= live.order.expire_ns:
            withdraw(ctx, live, "expired")
        _drive(ctx, live)


def _drive(ctx: Context, live: LiveOrder) -> None:
    plan, progress, order = live.plan, live.progress, live.order
    if plan is None or progress is None or live.state in FINAL:
        return
    if live.cancel_reason:
        if not _parts(ctx, live):
            end(ctx, live, OrderState.CANCELED, live.cancel_reason)
        return
    view, instrument = ctx.state.view.instruments[order.instrument_id], ctx.state.instruments[order.instrument_id]
    while actions := next_actions(order, plan, progress, view, instrument, ctx.ts):
        for action in actions:
            if isinstance(action, Submit):
                _send_part(ctx, live, action.order)
            elif (part := ctx.state.orders.get(action.client_order_id)) is not None:
                withdraw(ctx, part, "the schedule goes on")
    if is_over(order, progress) and live.state not in FINAL:
        end(ctx, live, OrderState.CANCELED, "the market does not take the rest")


def _send_part(ctx: Context, live: LiveOrder, order: Order) -> None:
    assert live.progress is not None
    under_way = live.cum_qty + sum((part.leaves_qty for part in _parts(ctx, live)), ZERO)
    if under_way + order.qty > live.order.qty:
        live.progress.close(order.client_order_id)
        say_denied(ctx, order, DenyCode.CHILD_EXCEEDS_PARENT, under_way + order.qty, live.order.qty)
        return
    ctx.state.orders[order.client_order_id] = LiveOrder(
        order=order,
        state=OrderState.APPROVED,
        ts_approved=ctx.ts,
        full_qty=order.qty,
        worked_for=live.order.client_order_id,
    )
    ctx.out.append(RecordIntent(order=order, ts_event=ctx.ts))


def _parts(ctx: Context, live: LiveOrder) -> list[LiveOrder]:
    name = live.order.client_order_id
    return [part for part in ctx.state.orders.values() if part.worked_for == name]
