"""A line of the log for everything that happens to an order, with the trace it belongs to (PLT-06)."""

from __future__ import annotations

from typing import Any, Final

import structlog

from common import messages as m
from common.messages.base import Envelope, Message
from common.runtime.tracing import trace_of

ORDER_EVENTS: Final = frozenset(
    (
        m.OrderApproved,
        m.OrderDenied,
        m.OrderSubmitted,
        m.OrderAccepted,
        m.OrderRejected,
        m.OrderFilled,
        m.OrderCanceled,
        m.OrderExpired,
        m.OrderAmended,
        m.AmendRejected,
        m.CancelRejected,
    )
)
_DETAILS: Final[dict[type[Message], tuple[str, ...]]] = {
    m.OrderDenied: ("code", "detail"),
    m.OrderRejected: ("reason",),
    m.OrderFilled: ("last_qty", "last_px", "leaves_qty"),
    m.OrderCanceled: ("reason",),
    m.AmendRejected: ("reason",),
    m.CancelRejected: ("reason",),
}


def write(sealed: Envelope, message: Message) -> None:
    """Call it before the message is on its way. Nothing for messages that are not about an order, nor where nobody has set up a log. The event is the message's type without
    its version.
    """
    kind = type(message)
    if kind not in ORDER_EVENTS or not structlog.is_configured():
        return
    order: Any = getattr(message, "order", message)
    structlog.get_logger().info(
        sealed.type.rpartition(".")[0],
        order_id=order.client_order_id,
        instrument_id=order.instrument_id,
        trace_id=trace_of(sealed, message),
        **{name: str(getattr(message, name)) for name in _DETAILS.get(kind, ())},
    )
