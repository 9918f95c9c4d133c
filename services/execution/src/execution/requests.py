"""What is asked of the venue: at a real one an effect, whose answer comes back on the tape; the paper venue answers at once.

No sending waits in the shell: a wait is spent on a question (`query`), and the answer brings the order back here, where it
is judged again. So nothing that was asked for before a stop goes out after it.
"""

from __future__ import annotations

from common.messages.orders import Order
from common.messages.venue import NotReceived
from common.model.enums import OrderState
from execution.context import Context
from execution.effects import AmendAtVenue, CancelAtVenue, QueryOrder, SendOrder
from execution.retry import backoff_s
from execution.state import LiveOrder
from execution.transitions import advance


def send(ctx: Context, live: LiveOrder) -> None:
    """Under the same client order id, however often."""
    live.state = advance(live.state, OrderState.SUBMITTED) if live.state is not OrderState.SUBMITTED else live.state
    live.unsent, live.not_found = False, 0
    if ctx.paper is not None:
        ctx.reports.append(ctx.paper.send(ctx.state.paper, live.order, live.ts_submitted))
        return
    live.send = _next(live)
    ctx.out.append(SendOrder(order=live.order, attempt=live.send))


def cancel(ctx: Context, live: LiveOrder, delay_s: float = 0.0) -> None:
    if ctx.paper is not None:
        ctx.reports.append(ctx.paper.cancel(ctx.state.paper, live.order.client_order_id, live.cancel_reason))
        return
    live.cancel = _next(live)
    ctx.out.append(_cancel(live, delay_s))


def amend(ctx: Context, live: LiveOrder, to: Order, delay_s: float = 0.0) -> None:
    """Terms are absolute: asked for twice they are the same."""
    live.amend_to = to
    if ctx.paper is not None:
        live.amend = _next(live)
        ctx.reports.append(ctx.paper.amend(ctx.state.paper, to, ctx.ts))
        return
    live.amend = _next(live)
    ctx.out.append(AmendAtVenue(order=to, venue_order_id=live.venue_order_id, attempt=live.amend, delay_s=delay_s))


def query(ctx: Context, live: LiveOrder, delay_s: float = 0.0, *, held_back: bool = False) -> None:
    """One question at a time, and none while a sending is under way: "not found" would say nothing."""
    if live.query or live.send:
        return
    live.query = _next(live)
    ctx.out.append(_query(live, live.query, delay_s, held_back=held_back))


def wait_s(ctx: Context, live: LiveOrder, refused: NotReceived | None = None) -> float:
    """After one more failure; what we held back ourselves is none, and waits only for its turn."""
    at_least_s = refused.retry_after_s if refused is not None else 0.0
    if refused is not None and refused.held_back:
        return at_least_s
    live.failures += 1
    return backoff_s(ctx.settings.retry, live.order.client_order_id, live.failures, at_least_s)


def unanswered(live: LiveOrder) -> list[QueryOrder | CancelAtVenue | AmendAtVenue]:
    """What a restarted shell has to ask again. A sending is asked about, not repeated: the venue may have it."""
    asked: list[QueryOrder | CancelAtVenue | AmendAtVenue] = []
    if number := live.query or live.send:
        asked.append(_query(live, number, 0.0))
    if live.cancel:
        asked.append(_cancel(live, 0.0))
    if live.amend and live.amend_to is not None:
        asked.append(AmendAtVenue(order=live.amend_to, venue_order_id=live.venue_order_id, attempt=live.amend))
    return asked


def _cancel(live: LiveOrder, delay_s: float) -> CancelAtVenue:
    return CancelAtVenue(
        client_order_id=live.order.client_order_id,
        venue_order_id=live.venue_order_id,
        instrument_id=live.order.instrument_id,
        attempt=live.cancel,
        delay_s=delay_s,
    )


def _query(live: LiveOrder, number: int, delay_s: float, *, held_back: bool = False) -> QueryOrder:
    return QueryOrder(
        client_order_id=live.order.client_order_id,
        instrument_id=live.order.instrument_id,
        attempt=number,
        delay_s=delay_s,
        held_back=held_back,
    )


def _next(live: LiveOrder) -> int:
    live.asked += 1
    return live.asked
