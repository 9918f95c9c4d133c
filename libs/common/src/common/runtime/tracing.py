"""One tick followed to its order, across processes (docs/deploy/traces.md).

Every message carries a W3C `traceparent`. Trace and spans are named after ids on the tape, and whether a trace is sampled
follows from its name: all processes agree without asking. Where no endpoint is set there are names and no spans.
"""

from __future__ import annotations

import asyncio
import atexit
import re
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any, Final

from common import messages as m
from common.contracts import ALL, OPERATORS, publishes
from common.core import Effect
from common.errors import ConfigError, DecodeError
from common.messages.base import Envelope, Message
from common.runtime.codec import decode
from common.runtime.environment import Environment
from common.runtime.spans import Kind, Link, Span, orders_in
from common.runtime.tape import Record
from common.runtime.trace_context import Open, Outside, Place, here
from common.version import BUILD

BY_HAND: Final = "cmd."  # how the correlation id of a person's command begins; such a trace is always sampled
BY_DATA: Final = "market_data:"
ORDERS_LIMIT: Final = 4096
# Said in every step, one for each instrument or of some size, and no order hangs on it: a trace without is easier to read.
_OFF_THE_WAY: Final = frozenset((m.FinancingCharged.TYPE, m.RiskMeasured.TYPE, m.StressTested.TYPE))
_SUBMITTED: Final = m.OrderSubmitted.TYPE
_ABOUT_ORDERS: Final = frozenset(
    kind.TYPE for kind in ALL if {"order", "client_order_id", "report"} & set(kind.__struct_fields__)
)


def trace_id(correlation_id: str) -> str:
    """32 hex digits; the same for every message of one step, in every service."""
    return _digest(correlation_id, 16)


def traceparent(envelope: Envelope) -> str:
    """The header where no span is made: version, trace, this message as the parent, sampled only if by hand."""
    sampled = "01" if envelope.correlation_id.startswith(BY_HAND) else "00"
    return f"00-{trace_id(envelope.correlation_id)}-{_span_id(envelope.id)}-{sampled}"


_NO_SPAN: Final = nullcontext()
_SAMPLED_HEADER: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")


class Tracer:
    """Makes the spans of one service and gives them to `export`, which must neither wait nor raise."""

    def __init__(self, service: str, ratio: float, export: Callable[[Span], None]) -> None:
        self._service = service
        self._bound = int(ratio * 2**64)
        self._export = export
        self._orders: dict[str, Place] = {}

    # --- what the shell calls --------------------------------------------------------------------------

    def publish(self, subject: str, envelope: Envelope, stored: asyncio.Future[int]) -> str:
        """Begins the message's span, which ends when it is stored; returns its header."""
        start_ns, current = time.time_ns(), here.get()
        message = _message_in(envelope) if self._orders and envelope.type in _ABOUT_ORDERS else None
        parent = self._of_order(message) if message else None
        link = None
        if parent is None or (current is not None and current.trace_id == parent.trace_id):
            parent = current or self._root(envelope)
        elif current is not None:
            link = Link(current.trace_id, current.span_id)
        if parent is None or envelope.type in _OFF_THE_WAY:
            return traceparent(envelope)
        if current is not None:
            current.said = True
        own = Place(parent.trace_id, _span_id(envelope.id))
        if envelope.type == _SUBMITTED:
            self._remember(orders_in(message or _message_in(envelope))[:1], own)
        span = Span(
            name=f"publish {envelope.type}",
            kind=Kind.PRODUCER,
            trace_id=own.trace_id,
            span_id=own.span_id,
            parent_id=parent.span_id,
            start_ns=start_ns,
            link=link,
            envelope=envelope,
            subject=subject,
        )
        stored.add_done_callback(partial(self._stored, span))
        return f"00-{own.trace_id}-{own.span_id}-01"

    def handle(
        self, record: Record, cause: Envelope, message: Message, *, again: bool, mute: bool
    ) -> AbstractContextManager[Any]:
        """Around the handling of a message that was read. `again`: it may have been handled before, in another life; then it
        is worth a span only if something had been left unsaid. A `mute` standby only learns which orders are traced.
        """
        parent = self._place_of(record.traceparent, cause)
        if parent is None or cause.type in _OFF_THE_WAY:
            return _NO_SPAN
        if isinstance(message, m.OrderApproved):
            self._remember(orders_in(message)[:1], parent)
        elif isinstance(message, m.ProposeOrders):
            self._remember(orders_in(message), parent)
        if mute:
            return _NO_SPAN
        first = _span_id(f"{self._service}>{cause.id}")
        start_ns = time.time_ns()
        span = Span(
            name=f"process {cause.type}",
            kind=Kind.CONSUMER,
            trace_id=parent.trace_id,
            span_id=_span_id(f"{self._service}>{cause.id}>{start_ns}") if again else first,
            parent_id=parent.span_id,
            start_ns=start_ns,
            link=Link(parent.trace_id, first) if again else None,
            envelope=cause,
            tape_seq=record.seq,
            again=again,
        )
        return Open(span, self.ended, only_if_said=again)

    def effect(self, effect: Effect) -> AbstractContextManager[Any]:
        """Around what the world outside is asked for the sake of an order, waiting included."""
        current, found = here.get(), orders_in(effect)
        parent = (current or self._known(found)) if found else None
        if parent is None:
            return Outside()
        kind = type(effect).__name__
        attempt = getattr(effect, "attempt", 0)
        start_ns = time.time_ns()
        first = _span_id(f"{self._service}>{kind}:{found[0]}:{attempt}")
        again = current is None
        span = Span(
            name=kind,
            kind=Kind.CLIENT,
            trace_id=parent.trace_id,
            span_id=_span_id(f"{self._service}>{kind}:{found[0]}:{attempt}>{start_ns}") if again else first,
            parent_id=parent.span_id,
            start_ns=start_ns,
            link=Link(parent.trace_id, first) if again else None,
            order_id=found[0],
            attempt=attempt,
            again=again,
        )
        return Open(span, self.ended)

    def trace_of(self, envelope: Envelope, message: Message) -> str:
        """The trace in which `publish` puts this message."""
        place = self._of_order(message) or here.get()
        return place.trace_id if place else trace_id(envelope.correlation_id)

    def ended(self, span: Span) -> None:
        """Sets the end and hands the span over."""
        span.end_ns = time.time_ns()
        self._export(span)

    # --- where a message belongs -----------------------------------------------------------------------

    def _sampled(self, correlation_id: str) -> bool:
        """A trace begins with a tick or a person. The bound is OpenTelemetry's own: TraceIdRatioBased says the same."""
        if correlation_id.startswith(BY_HAND):
            return True
        return correlation_id.startswith(BY_DATA) and int(trace_id(correlation_id)[16:], 16) < self._bound

    def _place_of(self, header: str, envelope: Envelope) -> Place | None:
        if header.endswith("1") and (found := _SAMPLED_HEADER.fullmatch(header)):
            return Place(found[1], found[2])
        if self._sampled(envelope.correlation_id):
            return Place(trace_id(envelope.correlation_id), _span_id(envelope.id))
        return None

    def _root(self, envelope: Envelope) -> Place | None:
        """Of what is said outside of any handling: a new trace, or what a standby had held back."""
        if not self._sampled(envelope.correlation_id):
            return None
        caused = envelope.causation_id
        return Place(trace_id(envelope.correlation_id), _span_id(f"{self._service}>{caused}") if caused else "")

    def _of_order(self, message: Message) -> Place | None:
        """An order's life is in the trace of the tick it came from, whichever tick fills it."""
        return self._known(orders_in(message)) if self._orders else None

    def _known(self, orders: Iterable[str]) -> Place | None:
        return next((place for name in orders if (place := self._orders.get(name))), None)

    def _remember(self, orders: Iterable[str], place: Place) -> None:
        for name in orders:
            self._orders[name] = place
        while len(self._orders) > ORDERS_LIMIT:
            del self._orders[next(iter(self._orders))]

    def _stored(self, span: Span, stored: asyncio.Future[int]) -> None:
        if stored.cancelled() or stored.exception():
            span.error = "not stored"
        else:
            span.tape_seq = stored.result()
        self.ended(span)


class _Process:
    tracer: Tracer | None = None


# --- hooks: without a tracer they cost a look at one attribute -------------------------------------------


def start(environment: Environment) -> None:
    """Where an endpoint is set, spans of this process are made from here on. Raises ConfigError when OpenTelemetry is missing."""
    service = environment.service
    if not environment.traces_endpoint or not (publishes(service) or service in OPERATORS):
        return
    try:
        from common.runtime.span_exporter import SpanExporter
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"BALLAST_TRACES_ENDPOINT is set, but {error.name} is not installed: it comes with ballast-common[traces]"
        ) from None
    exporter = SpanExporter(environment.traces_endpoint, service, environment.instance, BUILD)
    atexit.register(exporter.close)
    use(Tracer(service, environment.traces_ratio, exporter.put))


def use(tracer: Tracer | None) -> None:
    """From here on this one makes the spans of the process; None ends that."""
    _Process.tracer = tracer


def publishing(subject: str, envelope: Envelope, stored: asyncio.Future[int]) -> str:
    """The `traceparent` header of a message on its way to the tape."""
    tracer = _Process.tracer
    return traceparent(envelope) if tracer is None else tracer.publish(subject, envelope, stored)


def handling(
    record: Record, cause: Envelope, message: Message, *, again: bool, mute: bool
) -> AbstractContextManager[Any]:
    """See `Tracer.handle`."""
    tracer = _Process.tracer
    return _NO_SPAN if tracer is None else tracer.handle(record, cause, message, again=again, mute=mute)


def answering(effect: Effect) -> AbstractContextManager[Any]:
    """See `Tracer.effect`."""
    return _NO_SPAN if _Process.tracer is None else _Process.tracer.effect(effect)


def outside() -> AbstractContextManager[Any]:
    """Around telling what nobody had asked for."""
    return _NO_SPAN if _Process.tracer is None else Outside()


def trace_of(envelope: Envelope, message: Message) -> str:
    """The trace id of a message about to be said, for log lines."""
    tracer = _Process.tracer
    return trace_id(envelope.correlation_id) if tracer is None else tracer.trace_of(envelope, message)


def _message_in(envelope: Envelope) -> Message | None:
    """None for what readers will set aside: that is for them to say, and no matter of traces."""
    try:
        return decode(envelope)
    except DecodeError:
        return None


def _span_id(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=256)
def _digest(text: str, size: int) -> str:
    return blake2b(text.encode(), digest_size=size).hexdigest()
