"""Applies what a venue reports to the orders it is about (EXE-01, EXE-02): one function for each kind of report.

Reports may come twice, late, or before what they follow from. Finality and fills only ever add up; an answer counts only
while its question is open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from common.messages.orders import AmendRejected, CancelRejected, OrderAccepted, OrderAmended, OrderSubmitted
from common.messages.venue import (
    Accepted,
    Amended,
    AmendRefused,
    Canceled,
    CancelRefused,
    Expired,
    NotFound,
    NotReceived,
    OutcomeUnknown,
    Rejected,
    Report,
    Request,
    Status,
    Traded,
)
from common.model.enums import DenyCode, OrderState
from execution import requests
from execution.admission import gate
from execution.booking import book_fill, deny, end, whose
from execution.context import Context
from execution.effects import CancelAtVenue
from execution.state import LiveOrder
from execution.transitions import FINAL, UNCONFIRMED, UNSENT, WORKING, advance


def apply(ctx: Context, report: Report) -> None:
    """One report, whatever the order has become."""
    live = ctx.state.orders.get(report.client_order_id)
    if live is not None:
        if ctx.paper is None:
            ctx.state.reconciliation.stirred[live.order.instrument_id] = None
        _HANDLERS[type(report)](ctx, live, report)
    elif (over := ctx.state.finished.get(report.client_order_id)) is not None:
        ctx.state.reconciliation.stirred[over.order.instrument_id] = None
        _after_the_end(ctx, over, report)


def _after_the_end(ctx: Context, live: LiveOrder, report: Report) -> None:
    """Fills are booked. An order that was given up as never received, and works after all, is canceled."""
    if isinstance(report, Traded):
        book_fill(ctx, live, report)
    if isinstance(report, Status):
        for trade in report.trades:
            book_fill(ctx, live, trade)
    works = isinstance(report, Accepted) or (isinstance(report, Status) and report.working)
    if works and not live.venue_order_id:
        assert isinstance(report, Accepted | Status)
        live.venue_order_id = report.venue_order_id
        live.asked += 1
        ctx.out.append(
            CancelAtVenue(
                client_order_id=report.client_order_id,
                venue_order_id=report.venue_order_id,
                instrument_id=live.order.instrument_id,
                attempt=live.asked,
            )
        )


# --- the venue has it --------------------------------------------------------------------------------


def confirm(ctx: Context, live: LiveOrder, venue_order_id: str) -> None:
    """The venue has the order, whichever report says so first."""
    if live.state in UNSENT:  # known to the venue before we remember to have sent it
        live.state = advance(live.state, OrderState.SUBMITTED)
        live.ts_submitted = ctx.ts
        ctx.out.append(OrderSubmitted(ts_event=ctx.ts, order=live.order))
    if live.state not in UNCONFIRMED:
        return
    live.state = advance(live.state, OrderState.ACCEPTED)
    live.venue_order_id = venue_order_id
    live.send = live.failures = live.not_found = 0
    live.unsent = False
    if not live.worked_for or ctx.state.find(live.worked_for) is not None:
        ctx.out.append(OrderAccepted(ts_event=ctx.ts, venue_order_id=venue_order_id, **whose(live.order)))
    ctx.note(live)


def _on_accepted(ctx: Context, live: LiveOrder, report: Accepted) -> None:
    confirm(ctx, live, report.venue_order_id)
    _cancel_again(ctx, live)


def _on_traded(ctx: Context, live: LiveOrder, report: Traded) -> None:
    if report.trade_id not in live.trades:
        confirm(ctx, live, report.venue_order_id)
        book_fill(ctx, live, report)


def _on_status(ctx: Context, live: LiveOrder, report: Status) -> None:
    live.query = live.send = 0
    if report.final == OrderState.REJECTED and not report.trades:
        _reject(ctx, live, "rejected by the venue")
        return
    confirm(ctx, live, report.venue_order_id)
    for trade in report.trades:
        book_fill(ctx, live, trade)
    if live.state in FINAL:
        return
    if report.working:
        live.not_found, live.failures = 0, live.refusals
        _cancel_again(ctx, live)
        return
    final = OrderState.EXPIRED if report.final == OrderState.EXPIRED else OrderState.CANCELED
    end(ctx, live, final, live.cancel_reason or f"the venue says {report.final or 'it does not work'}")


# --- it is over --------------------------------------------------------------------------------------


def _on_rejected(ctx: Context, live: LiveOrder, report: Rejected) -> None:
    _reject(ctx, live, report.reason)


def _reject(ctx: Context, live: LiveOrder, reason: str) -> None:
    if live.state in UNSENT:
        return
    end(ctx, live, OrderState.CANCELED if live.cum_qty else OrderState.REJECTED, reason)


def _on_canceled(ctx: Context, live: LiveOrder, report: Canceled) -> None:
    if live.state not in UNSENT:
        end(ctx, live, OrderState.CANCELED, live.cancel_reason or report.reason or "by the venue")


def _on_expired(ctx: Context, live: LiveOrder, report: Expired) -> None:
    if live.state not in UNSENT:
        end(ctx, live, OrderState.EXPIRED)


# --- cancels and amendments --------------------------------------------------------------------------


def _cancel_again(ctx: Context, live: LiveOrder) -> None:
    """It works, and should not. An operator's wish ends at the venue's refusal, that of a rule does not."""
    if not live.cancel_reason or live.cancel or live.state in FINAL:
        return
    if live.refusals >= ctx.settings.retry.max_attempts and not live.firm:
        ctx.out.append(CancelRejected(ts_event=ctx.ts, reason="refused by the venue", **whose(live.order)))
        live.cancel_reason, live.refusals = "", 0
        return
    requests.cancel(ctx, live, requests.wait_s(ctx, live) if live.refusals else 0.0)


def _on_cancel_refused(ctx: Context, live: LiveOrder, report: CancelRefused) -> None:
    """Mostly it is gone: that is asked. One that is on its way is canceled when it arrives."""
    if not live.cancel:
        return
    live.cancel = 0
    live.refusals += live.state in WORKING
    requests.query(ctx, live)


def _on_amended(ctx: Context, live: LiveOrder, report: Amended) -> None:
    if not live.amend:
        return
    live.amend, live.amend_to, live.failures = 0, None, 0
    live.order = msgspec.structs.replace(live.order, qty=report.qty, limit_px=report.limit_px, stop_px=report.stop_px)
    ctx.out.append(OrderAmended(ts_event=ctx.ts, order=live.order))
    if live.leaves_qty <= 0:
        end(ctx, live, OrderState.CANCELED, "amended to what had filled")
        return
    ctx.note(live)


def _on_amend_refused(ctx: Context, live: LiveOrder, report: AmendRefused) -> None:
    if live.amend:
        _give_up_amendment(ctx, live, report.reason)


def _give_up_amendment(ctx: Context, live: LiveOrder, reason: str) -> None:
    live.amend, live.amend_to, live.failures = 0, None, 0
    if not live.linked:
        live.full_qty = live.order.qty
    ctx.out.append(AmendRejected(ts_event=ctx.ts, order=live.order, reason=reason))


# --- trouble -----------------------------------------------------------------------------------------


def _on_not_received(ctx: Context, live: LiveOrder, report: NotReceived) -> None:
    match report.request:
        case Request.SEND if live.send:
            live.send, live.unsent = 0, True
            _again_or_never(ctx, live, report)
        case Request.QUERY if live.query or live.send:
            live.query = 0
            _doubt(ctx, live)
            _again_or_never(ctx, live, report)
        case Request.CANCEL if live.cancel:
            live.cancel = 0
            requests.cancel(ctx, live, requests.wait_s(ctx, live, report))
        case Request.AMEND if live.amend and live.amend_to is not None:
            _amend_again(ctx, live, report)
        case _:
            return


def _on_outcome_unknown(ctx: Context, live: LiveOrder, report: OutcomeUnknown) -> None:
    match report.request:
        case Request.SEND if live.send:
            _doubt(ctx, live)
            requests.query(ctx, live)
        case Request.QUERY if live.query or live.send:
            live.query = 0
            _doubt(ctx, live)
            requests.query(ctx, live, requests.wait_s(ctx, live))
        case Request.CANCEL if live.cancel:
            live.cancel = 0
            requests.query(ctx, live)
        case Request.AMEND if live.amend and live.amend_to is not None:
            _amend_again(ctx, live, report)
        case _:
            return


def _on_not_found(ctx: Context, live: LiveOrder, report: NotFound) -> None:
    """Believed at once of an order that certainly did not arrive, else only when said often enough."""
    if not (live.query or live.send):
        return
    live.query = 0
    _doubt(ctx, live)
    live.not_found += 1
    retry = ctx.settings.retry
    if live.not_found < retry.not_found_confirmations and not live.unsent:
        requests.query(ctx, live, retry.not_found_spacing_s)
    elif live.state in WORKING or live.cancel_reason:
        end(ctx, live, OrderState.CANCELED, live.cancel_reason or "the venue does not know it any more")
    elif (found := gate(ctx, live.order)) is not None:
        deny(ctx, live, *found)
    else:
        requests.send(ctx, live)


def _doubt(ctx: Context, live: LiveOrder) -> None:
    """A sending has no answer and will not get one."""
    if live.send:
        live.send = 0
        live.state = (
            advance(live.state, OrderState.UNKNOWN) if live.state in UNCONFIRMED - {OrderState.UNKNOWN} else live.state
        )


def _again_or_never(ctx: Context, live: LiveOrder, report: NotReceived) -> None:
    """An order that the venue certainly has not got is given up after so many failures, unless it reduces."""
    wait, failed = requests.wait_s(ctx, live, report), not report.held_back
    exhausted = failed and live.failures >= ctx.settings.retry.max_attempts and not live.order.reduce_only
    if live.unsent and live.cancel_reason:
        end(ctx, live, OrderState.CANCELED, live.cancel_reason)
    elif live.unsent and exhausted:
        deny(ctx, live, DenyCode.VENUE_DOWN)
    else:
        requests.query(ctx, live, wait, held_back=live.unsent and not failed)


def _amend_again(ctx: Context, live: LiveOrder, report: NotReceived | OutcomeUnknown) -> None:
    assert live.amend_to is not None
    wait = requests.wait_s(ctx, live, report if isinstance(report, NotReceived) else None)
    if live.failures >= ctx.settings.retry.max_attempts or live.cancel_reason:
        _give_up_amendment(ctx, live, report.reason)
    else:
        requests.amend(ctx, live, live.amend_to, wait)


_HANDLERS: Final[dict[type[Any], Callable[[Context, LiveOrder, Any], None]]] = {
    Accepted: _on_accepted,
    Rejected: _on_rejected,
    Traded: _on_traded,
    Canceled: _on_canceled,
    Expired: _on_expired,
    CancelRefused: _on_cancel_refused,
    Amended: _on_amended,
    AmendRefused: _on_amend_refused,
    NotReceived: _on_not_received,
    OutcomeUnknown: _on_outcome_unknown,
    NotFound: _on_not_found,
    Status: _on_status,
}
