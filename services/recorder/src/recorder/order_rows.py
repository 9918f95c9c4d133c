"""Orders: one row per order that every later message fills in, and one event for each thing said about it."""

from __future__ import annotations

from typing import Any, Final

from common import messages as m
from common.messages.base import Envelope, Message
from common.messages.orders import Order
from common.model.enums import OrderState
from recorder.rows import Rule, Write, order_event, values

PROPOSED: Final = "PROPOSED"  # the guardian has not answered yet
ORDER: Final = (
    *("client_order_id", "account", "strategy_id", "instrument_id", "side", "qty", "ref_px", "order_type", "limit_px"),
    *("stop_px", "time_in_force", "expire_ns", "reduce_only", "reason"),
)
ORDER_LIFE: Final = (
    *("state", "rule", "resized_from", "deny_code", "deny_observed", "deny_limit", "denied_by", "venue_order_id"),
    *("cum_qty", "avg_px", "end_reason"),
)
PLAN: Final = (
    *("client_order_id", "account", "strategy_id", "instrument_id", "algorithm", "slices", "end_ns", "spread_bps"),
    *("fee_bps", "impact_bps", "delay_bps", "expected_bps", "naive_bps", "reason"),
)
COST: Final = (
    *("client_order_id", "account", "strategy_id", "instrument_id", "algorithm", "filled_qty", "avg_px", "arrival_px"),
    *("slippage_bps", "fee_bps", "total_bps", "expected_bps", "maker_share", "duration_ns"),
)
FILL: Final = (
    *("fill_id", "client_order_id", "venue_order_id", "account", "strategy_id", "instrument_id", "side", "last_qty"),
    *("last_px", "cum_qty", "leaves_qty", "avg_px", "commission", "commission_currency", "ref_px", "slippage_bps"),
)


def _proposed(seq: int, envelope: Envelope, message: m.PortfolioStep | m.ProposeOrders) -> list[Write]:
    return [
        write
        for item, order in enumerate(message.orders)
        for write in _order(seq, message, order, item=item, state=PROPOSED, note=order.reason)
    ]


def _approved(seq: int, envelope: Envelope, message: m.OrderApproved) -> list[Write]:
    rule = message.rule or None
    state, note = OrderState.APPROVED, rule or "every check passed"
    return _order(seq, message, message.order, state=state, note=note, rule=rule, resized_from=message.resized_from)


def _denied(seq: int, envelope: Envelope, message: m.OrderDenied) -> list[Write]:
    why = f"{message.observed} against {message.limit}, by {message.by}"
    note = f"{message.code}: {'; '.join(filter(None, (why, message.detail)))}"
    verdict: dict[str, Any] = {
        "deny_code": message.code,
        "deny_observed": message.observed,
        "deny_limit": message.limit,
    }
    return _order(
        seq,
        message,
        message.order,
        state=OrderState.DENIED,
        note=note,
        **verdict,
        denied_by=message.by,
        end_reason=note,
    )


def _submitted(seq: int, envelope: Envelope, message: m.OrderSubmitted) -> list[Write]:
    return _order(seq, message, message.order, state=OrderState.SUBMITTED, note="intent recorded")


def _accepted(seq: int, envelope: Envelope, message: m.OrderAccepted) -> list[Write]:
    note = f"as {message.venue_order_id}"
    return _order(seq, message, message, state=OrderState.ACCEPTED, note=note, venue_order_id=message.venue_order_id)


def _rejected(seq: int, envelope: Envelope, message: m.OrderRejected) -> list[Write]:
    return _order(seq, message, message, state=OrderState.REJECTED, note=message.reason, end_reason=message.reason)


def _filled(seq: int, envelope: Envelope, message: m.OrderFilled) -> list[Write]:
    state = OrderState.PARTIALLY_FILLED if message.leaves_qty > 0 else OrderState.FILLED
    note = f"{message.last_qty} at {message.last_px}, {message.slippage_bps:.2f} bps slippage"
    life: dict[str, Any] = {
        "venue_order_id": message.venue_order_id,
        "cum_qty": message.cum_qty,
        "avg_px": message.avg_px,
    }
    fill = Write("fills", (seq, message.ts_event, *values(message, FILL)))
    return [fill, *_order(seq, message, message, state=state, note=note, **life)]


def _canceled(seq: int, envelope: Envelope, message: m.OrderCanceled) -> list[Write]:
    return _order(seq, message, message, state=OrderState.CANCELED, note=message.reason, end_reason=message.reason)


def _expired(seq: int, envelope: Envelope, message: m.OrderExpired) -> list[Write]:
    note = f"{message.leaves_qty} left at the end of its time in force"
    return _order(seq, message, message, state=OrderState.EXPIRED, note=note, end_reason=note)


def _intended(seq: int, envelope: Envelope, message: m.IntentRecorded) -> list[Write]:
    return [order_event(seq, 0, message, message.client_order_id, None, None, "intent committed")]


def _unintended(seq: int, envelope: Envelope, message: m.IntentFailed) -> list[Write]:
    note = f"{message.code}: {message.detail}"
    return [order_event(seq, 0, message, message.client_order_id, None, None, note)]


def _amended(seq: int, envelope: Envelope, message: m.OrderAmended) -> list[Write]:
    """The terms of the order's row are those it was approved with; what they are now is in its events."""
    order = message.order
    note = f"now {order.qty}, limit {order.limit_px or '-'}, stop {order.stop_px or '-'}"
    return [order_event(seq, 0, message, order.client_order_id, order.instrument_id, None, note)]


def _amend_approved(seq: int, envelope: Envelope, message: m.AmendApproved) -> list[Write]:
    order = message.order
    return [order_event(seq, 0, message, order.client_order_id, order.instrument_id, None, "amendment approved")]


def _amend_rejected(seq: int, envelope: Envelope, message: m.AmendRejected) -> list[Write]:
    order = message.order
    note = f"not amended: {message.reason}"
    return [order_event(seq, 0, message, order.client_order_id, order.instrument_id, None, note)]


def _cancel_rejected(seq: int, envelope: Envelope, message: m.CancelRejected) -> list[Write]:
    note = f"not canceled: {message.reason}"
    return [order_event(seq, 0, message, message.client_order_id, message.instrument_id, None, note)]


def _planned(seq: int, envelope: Envelope, message: m.ExecutionPlanned) -> list[Write]:
    note = f"{message.algorithm} in {message.slices}, {message.expected_bps:.2f} bps expected: {message.reason}"
    event = order_event(seq, 0, message, message.client_order_id, message.instrument_id, None, note)
    return [Write("execution_plans", (seq, message.ts_event, *values(message, PLAN))), event]


def _costed(seq: int, envelope: Envelope, message: m.OrderCosted) -> list[Write]:
    note = f"cost {message.total_bps:.2f} bps, {message.expected_bps:.2f} expected"
    event = order_event(seq, 0, message, message.client_order_id, message.instrument_id, None, note)
    return [Write("execution_costs", (seq, message.ts_event, *values(message, COST))), event]


_SAID_BY_EVENTS: Final = frozenset({"client_order_id", "account", "strategy_id", "instrument_id"})


def _order(
    seq: int, message: Message, source: Any, *, item: int = 0, state: str, note: str, **life: Any
) -> list[Write]:
    """What `source`, a whole order or an event with only its ids, says about an order; and that it was said."""
    named = ORDER if isinstance(source, Order) else _SAID_BY_EVENTS
    order = tuple(getattr(source, name) if name in named else None for name in ORDER)
    lived = tuple({"state": state, **life}.get(name) for name in ORDER_LIFE)
    event = order_event(seq, item, message, source.client_order_id, source.instrument_id, state, note)
    return [Write("orders", (*order, *lived, seq, seq, message.ts_event, message.ts_event)), event]


RULES: Final[dict[type[Message], tuple[Rule, ...]]] = {
    m.PortfolioStep: (_proposed,),
    m.ProposeOrders: (_proposed,),
    m.OrderApproved: (_approved,),
    m.OrderDenied: (_denied,),
    m.OrderSubmitted: (_submitted,),
    m.OrderAccepted: (_accepted,),
    m.OrderRejected: (_rejected,),
    m.OrderFilled: (_filled,),
    m.OrderCanceled: (_canceled,),
    m.OrderExpired: (_expired,),
    m.OrderAmended: (_amended,),
    m.AmendApproved: (_amend_approved,),
    m.AmendRejected: (_amend_rejected,),
    m.CancelRejected: (_cancel_rejected,),
    m.ExecutionPlanned: (_planned,),
    m.OrderCosted: (_costed,),
    m.IntentRecorded: (_intended,),
    m.IntentFailed: (_unintended,),
}
