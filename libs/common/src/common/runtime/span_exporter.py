"""Spans leave the process on a thread of its own, which may be late, hang or fail: the queue before it is bounded and drops.

The only module that imports OpenTelemetry. Whoever trades only ever appends to a deque.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from common.runtime import metrics
from common.runtime.spans import Span, attributes

QUEUE_LIMIT: Final = 4096
BATCH: Final = 128
EVERY_S: Final = 1.0
TIMEOUT_S: Final = 5.0
CLOSE_PATIENCE_S: Final = 0.5
_PATH: Final = "/v1/traces"
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_KINDS: Final = {kind.name: kind for kind in SpanKind}

Export = Callable[[Sequence[ReadableSpan]], SpanExportResult]


class SpanExporter:
    """`put` never waits. An endpoint without a path gets OTLP's own."""

    def __init__(self, endpoint: str, service: str, instance: str, build: str, *, timeout_s: float = TIMEOUT_S) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # said here, once for each change
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)
        self.endpoint = endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + _PATH
        self._exporter = OTLPSpanExporter(endpoint=self.endpoint, timeout=timeout_s)
        self._resource = Resource.create(
            {
                "service.name": service,
                "service.namespace": "ballast",
                "service.instance.id": instance,
                "service.version": build,
            }
        )
        self._scope = InstrumentationScope("ballast", build)
        self._log = structlog.get_logger(service=service, build=build)
        self._queue: deque[Span] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def put(self, span: Span) -> None:
        """Takes the span, or drops and counts it when too many wait."""
        if len(self._queue) >= QUEUE_LIMIT:
            metrics.SPANS_DROPPED.labels("queue_full").inc()
            return
        self._queue.append(span)
        if len(self._queue) == BATCH:
            self._wake.set()

    def close(self) -> None:
        """Sends what waits if that is quick; a collector that hangs is left alone."""
        self._closing = True
        self._wake.set()
        self._thread.join(CLOSE_PATIENCE_S)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # else it tries again for as long as `timeout_s`

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(EVERY_S)
            self._wake.clear()
            while self._queue:
                self._send([self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))])

    def _send(self, spans: Sequence[Span]) -> None:
        try:
            sent = self._exporter.export(self._in_words(spans)) is SpanExportResult.SUCCESS
        except Exception:  # noqa: BLE001 (no trouble with a trace is worth a thread, let alone a trade)
            sent = False
        if sent:
            metrics.SPANS_EXPORTED.inc(len(spans))
        else:
            metrics.SPANS_DROPPED.labels("not_exported").inc(len(spans))
        if self._failing is sent:
            self._failing = not sent
            say = self._log.info if sent else self._log.warning
            say("traces leave again" if sent else "traces cannot be exported; trading goes on", endpoint=self.endpoint)

    def _in_words(self, spans: Sequence[Span]) -> list[ReadableSpan]:
        """Built and not started: a span that is started takes its time and its id from now, these have theirs."""
        return [self._readable(span) for span in spans]

    def _readable(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace_id, span.span_id),
            parent=_context(span.trace_id, span.parent_id, remote=True) if span.parent_id else None,
            resource=self._resource,
            attributes=attributes(span),
            links=(Link(_context(*span.link)),) if span.link else (),
            kind=_KINDS[span.kind],
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=self._scope,
        )


def _context(trace_id: str, span_id: str, *, remote: bool = False) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=remote, trace_flags=_SAMPLED)
