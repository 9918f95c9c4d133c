"""What a span is until it leaves the process, and what is said about it. Made on the way of an order, so it is plain data; the
words are found later, in the exporter's thread.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from common.errors import DecodeError
from common.messages.base import Envelope, Message
from common.messages.orders import Order
from common.runtime.codec import decode

Attributes = dict[str, str | int | bool]


class Kind(StrEnum):
    """As in OpenTelemetry."""

    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"
    CLIENT = "CLIENT"


class Link(NamedTuple):
    """Another span, of which this one knows that it belongs to it."""

    trace_id: str
    span_id: str


class Span(msgspec.Struct, kw_only=True):
    """Ids in hex as in a `traceparent`; no `parent_id` is a root. Times in nanoseconds UTC. An empty `error` is none.

    Of a message it carries the `envelope`, of a request to the world outside the `order_id`.
    """

    name: str
    kind: Kind
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int = 0
    link: Link | None = None
    error: str = ""
    envelope: Envelope | None = None
    subject: str = ""
    tape_seq: int = 0
    order_id: str = ""
    attempt: int = 0
    again: bool = False


def orders_in(thing: Any) -> tuple[str, ...]:
    """The ids of the orders a message or an effect is about, an order's own before its parent's; empty for anything else."""
    match getattr(thing, "order", None), getattr(thing, "client_order_id", None):
        case Order() as order, _:
            return (order.client_order_id, order.parent_id) if order.parent_id else (order.client_order_id,)
        case _, str() as name:
            return (name,)
    orders = getattr(thing, "orders", ())
    if orders and isinstance(orders[0], Order):
        return tuple(order.client_order_id for order in orders)
    report = getattr(thing, "report", None)
    return (report.client_order_id,) if report is not None else ()


def attributes(span: Span) -> Attributes:
    """By OpenTelemetry's conventions for messaging where there is one, else under `ballast.`. Slow: not for an order's way."""
    found: Attributes = {"ballast.redelivered": True} if span.again else {}
    if span.error:
        found["error.type"] = span.error
    if span.tape_seq:
        found["ballast.tape_seq"] = span.tape_seq
    if span.envelope is None:
        return {**found, "ballast.order_id": span.order_id, "ballast.attempt": span.attempt}
    return {**found, **_of_envelope(span, span.envelope), **_of_data(span.envelope)}


def _of_envelope(span: Span, envelope: Envelope) -> Attributes:
    publishes = span.kind is Kind.PRODUCER
    return {
        "messaging.system": "nats",
        "messaging.operation.name": "publish" if publishes else "process",
        "messaging.operation.type": "send" if publishes else "process",
        "messaging.destination.name": span.subject or envelope.type,
        "messaging.destination.template": envelope.type,
        "messaging.message.id": envelope.id,
        "messaging.message.conversation_id": envelope.correlation_id,
        "messaging.message.body.size": len(bytes(envelope.data)),
        "ballast.source": envelope.source,
        "ballast.ts_event": envelope.ts_event,
    }


def _of_data(envelope: Envelope) -> Attributes:
    try:
        message = decode(envelope)
    except DecodeError:
        return {}
    found: Attributes = {
        f"ballast.{name}": str(value) if isinstance(value, str) else value
        for name in ("book", "step", "author", "fill_id", "state", "code")
        if isinstance(value := getattr(message, name, None), str | int)
    }
    if "ballast.code" in found:
        found["ballast.deny_code"] = found.pop("ballast.code")
    orders = orders_in(message)
    if len(orders) == 1 or hasattr(message, "order"):
        found["ballast.order_id"] = orders[0]
    elif orders:
        found["ballast.orders"] = len(orders)
    return {**found, **_of_order(message)}


def _of_order(message: Message) -> Attributes:
    order = getattr(message, "order", message)
    named = (("strategy", "strategy_id"), ("instrument", "instrument_id"), ("parent_order_id", "parent_id"))
    return {f"ballast.{name}": value for name, field in named if (value := getattr(order, field, ""))}
