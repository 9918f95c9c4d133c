"""Spans are named after ids on the tape, processes agree on what is sampled, and an order stays in the trace of its tick."""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from common import messages as m
from common.core import Effect
from common.errors import ConfigError
from common.messages import Message
from common.messages.base import Envelope
from common.messages.orders import Order
from common.messages.venue import Traded
from common.model.enums import DenyCode
from common.runtime import metrics, tracing
from common.runtime.codec import encode_envelope
from common.runtime.environment import Environment
from common.runtime.session import envelope
from common.runtime.span_exporter import QUEUE_LIMIT, SpanExporter
from common.runtime.spans import Kind, Link, Span, attributes
from common.runtime.subjects import subject
from common.runtime.tape import Record
from common.testing.builders import a

TICK = a(m.MarketSlice, step=7)
ORDER = a(Order, client_order_id="o-1", parent_id="")


class SendIt(Effect, frozen=True, kw_only=True):
    order: Order
    attempt: int = 1


class Line:
    """A tape that only has headers: what one service says, another reads."""

    def __init__(self) -> None:
        self.seq = 0

    def say(self, service: str, message: Message, cause: Record | None = None, identity: str = "") -> Record:
        """Of the current tracer. Its envelope is the record's payload."""
        self.seq += 1
        parent = msgspec.json.decode(cause.payload, type=Envelope) if cause else None
        name = identity or f"{service}:{self.seq}"
        sealed = envelope(service, message, name, cause=(cause.seq, 0, parent) if cause and parent else None)
        stored: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        header = tracing.publishing(subject(message), sealed, stored)
        stored.set_result(self.seq)
        return Record(self.seq, encode_envelope(sealed), 0, header)

    def handling(self, record: Record, message: Message, *, again: bool = False, mute: bool = False):  # type: ignore[no-untyped-def]
        cause = msgspec.json.decode(record.payload, type=Envelope)
        return tracing.handling(record, cause, message, again=again, mute=mute)


class Spans(list[Span]):
    def service(self, name: str, ratio: float = 1.0) -> None:
        """From here on this service traces, into this list."""
        tracing.use(tracing.Tracer(name, ratio, self.append))

    def of(self, name: str) -> Span:
        found = [span for span in self if span.name == name]
        assert len(found) == 1, [span.name for span in self]
        return found[0]


@pytest.fixture(autouse=True)
def _no_tracer() -> Iterator[None]:
    yield
    tracing.use(None)


async def settled() -> None:
    await asyncio.sleep(0)


@pytest.mark.req("PLT-06")
@given(st.text(max_size=20), st.floats(0, 1))
def test_a_tick_is_sampled_exactly_where_opentelemetry_would_sample_it(name: str, ratio: float) -> None:
    correlation = f"market_data:{name}"
    found: list[Span] = []
    tracing.use(tracing.Tracer("market_data", ratio, found.append))

    async def say() -> str:
        sealed = envelope("market_data", TICK, correlation, cause=None)
        header = tracing.publishing("md", sealed, asyncio.get_running_loop().create_future())
        tracing.use(None)
        return header

    header = asyncio.run(say())
    wanted = TraceIdRatioBased(ratio).should_sample(None, int(tracing.trace_id(correlation), 16), "")
    assert header.endswith("-01") == (wanted.decision is Decision.RECORD_AND_SAMPLE)


@pytest.mark.req("PLT-06")
def test_what_a_person_says_is_sampled_whatever_the_ratio_and_nothing_else_begins_a_trace() -> None:
    async def scenario(spans: Spans) -> None:
        line = Line()
        spans.service("gateway", ratio=0.0)
        halt = line.say("gateway", a(m.HaltTrading), identity="cmd.risk_guardian.halt.v1:gateway:1")
        tick = line.say("market_data", TICK, identity="market_data:r:1:0")
        spans.service("execution", ratio=1.0)
        line.say("execution", a(m.VenueConnection), identity="venue.connection.v1:r:1")
        spans.service("risk_guardian", ratio=0.0)
        with line.handling(halt, a(m.HaltTrading)):
            line.say("risk_guardian", a(m.TradingStateChanged), halt)
        with line.handling(tick, TICK):
            pass
        await settled()

    spans = Spans()
    asyncio.run(scenario(spans))
    assert sorted(span.name for span in spans) == [
        "process cmd.risk_guardian.halt.v1",
        "publish cmd.risk_guardian.halt.v1",
        "publish risk.trading_state.v1",
    ]
    assert len({span.trace_id for span in spans}) == 1


@pytest.mark.req("PLT-06")
def test_without_a_tracer_there_are_headers_and_no_spans() -> None:
    async def scenario() -> Record:
        record = Line().say("market_data", TICK, identity="market_data:r:1:0")
        with Line().handling(record, TICK), tracing.answering(SendIt(order=ORDER)), tracing.outside():
            return record

    version, trace, span, flags = asyncio.run(scenario()).traceparent.split("-")
    assert (version, flags) == ("00", "00")
    assert trace == tracing.trace_id("market_data:r:1:0")
    assert len(span) == 16


@pytest.mark.req("PLT-06")
def test_every_span_lies_below_what_caused_it_from_tick_to_venue() -> None:
    async def scenario(spans: Spans) -> None:
        line = Line()
        spans.service("market_data")
        tick = line.say("market_data", TICK, identity="market_data:r:1:0")
        spans.service("risk_guardian")
        with line.handling(tick, TICK):
            approved = line.say("risk_guardian", a(m.OrderApproved, order=ORDER), tick)
        spans.service("execution")

        async def answer() -> Record:
            with tracing.answering(SendIt(order=ORDER)):
                await asyncio.sleep(0)
                intent = a(m.IntentRecorded, client_order_id="o-1")
                return line.say("execution", intent, identity="execution.intent_recorded.v1:r:o-1")

        with line.handling(approved, a(m.OrderApproved, order=ORDER)):
            task = asyncio.create_task(answer())
        recorded = await task
        with line.handling(recorded, a(m.IntentRecorded, client_order_id="o-1")):
            line.say("execution", a(m.OrderSubmitted, order=ORDER), recorded)
        await settled()

    spans = Spans()
    asyncio.run(scenario(spans))
    chain = [
        "publish md.slice.v1",
        "process md.slice.v1",
        "publish order.approved.v1",
        "process order.approved.v1",
        "SendIt",
        "publish execution.intent_recorded.v1",
        "process execution.intent_recorded.v1",
        "publish order.submitted.v1",
    ]
    path = [spans.of(name) for name in chain]
    assert path[0].parent_id == ""
    assert [span.parent_id for span in path[1:]] == [span.span_id for span in path[:-1]]
    assert {span.trace_id for span in path} == {tracing.trace_id("market_data:r:1:0")}
    assert [span.start_ns for span in path] == sorted(span.start_ns for span in path)
    assert all(span.end_ns >= span.start_ns for span in path)
    assert [span.kind for span in path[2:5]] == [Kind.PRODUCER, Kind.CONSUMER, Kind.CLIENT]


@pytest.mark.req("PLT-06")
def test_a_fill_belongs_to_the_trace_of_its_order_and_is_linked_to_the_tick_that_filled_it() -> None:
    async def scenario(spans: Spans) -> None:
        line = Line()
        spans.service("execution")
        born = line.say("market_data", TICK, identity="market_data:r:1:0")
        with line.handling(born, TICK):
            line.say("execution", a(m.OrderSubmitted, order=ORDER), born)
        later = line.say("market_data", TICK, identity="market_data:r:2:0")
        with line.handling(later, TICK):
            line.say("execution", a(m.OrderFilled, client_order_id="o-1"), later)
            line.say("execution", a(m.OrderCanceled, client_order_id="another"), later)
        with tracing.outside():
            pushed = a(m.VenueReported, report=a(Traded, client_order_id="o-1"))
            line.say("execution", pushed, identity="venue.report.v1:r:trade:1")
        await settled()

    spans = Spans()
    asyncio.run(scenario(spans))
    submitted, filled = spans.of("publish order.submitted.v1"), spans.of("publish order.filled.v1")
    assert (filled.trace_id, filled.parent_id) == (submitted.trace_id, submitted.span_id)
    second = tracing.trace_id("market_data:r:2:0")
    handled = next(span for span in spans if span.name == "process md.slice.v1" and span.trace_id == second)
    assert filled.link == Link(second, handled.span_id)
    assert spans.of("publish order.canceled.v1").trace_id == second
    assert spans.of("publish venue.report.v1").parent_id == submitted.span_id


@pytest.mark.req("PLT-06")
def test_an_order_by_hand_that_is_judged_in_a_later_step_keeps_its_trace() -> None:
    async def scenario(spans: Spans) -> None:
        line = Line()
        spans.service("risk_guardian", ratio=0.0)
        proposal = a(m.ProposeOrders, orders=(ORDER,))
        proposed = line.say("gateway", proposal, identity="cmd.risk_guardian.propose.v1:gateway:1")
        with line.handling(proposed, proposal):
            pass
        tick = line.say("market_data", TICK, identity="market_data:r:1:0")
        with line.handling(tick, TICK):
            line.say("risk_guardian", a(m.OrderDenied, order=ORDER, code=DenyCode.MAX_NOTIONAL), tick)
        await settled()

    spans = Spans()
    asyncio.run(scenario(spans))
    denied = spans.of("publish order.denied.v1")
    assert denied.parent_id == spans.of("publish cmd.risk_guardian.propose.v1").span_id
    said = attributes(denied)
    assert (said["ballast.order_id"], said["ballast.deny_code"]) == ("o-1", "MAX_NOTIONAL")
    assert (said["messaging.system"], said["messaging.operation.type"]) == ("nats", "send")


@pytest.mark.req("PLT-06")
def test_what_is_handled_again_gets_a_span_only_for_what_was_left_unsaid_and_a_link_to_the_first() -> None:
    async def scenario(spans: Spans) -> list[Span]:
        line = Line()
        spans.service("regime")
        tick = line.say("market_data", TICK, identity="market_data:r:1:0")
        with line.handling(tick, TICK):
            pass
        with line.handling(tick, TICK, again=True):
            pass
        with line.handling(tick, TICK, again=True):
            line.say("regime", a(m.RegimeStep), tick)
        await settled()
        return [span for span in spans if span.kind is Kind.CONSUMER]

    first, again = asyncio.run(scenario(Spans()))
    assert again.link == Link(first.trace_id, first.span_id)
    assert again.span_id != first.span_id
    assert attributes(again)["ballast.redelivered"] is True


@pytest.mark.req("PLT-06")
def test_a_standby_makes_no_spans_but_goes_on_with_the_traces_of_its_orders() -> None:
    async def scenario(spans: Spans) -> Record:
        line = Line()
        spans.service("execution")
        tick = line.say("market_data", TICK, identity="market_data:r:1:0")
        approved = line.say("risk_guardian", a(m.OrderApproved, order=ORDER), tick)
        await settled()
        spans.clear()
        with line.handling(approved, a(m.OrderApproved, order=ORDER), mute=True):
            assert not spans
        with tracing.answering(SendIt(order=ORDER)):  # it leads now
            line.say("execution", a(m.IntentRecorded, client_order_id="o-1"), identity="execution.x.v1:r:o-1")
        await settled()
        return approved

    spans = Spans()
    approved = asyncio.run(scenario(spans))
    sent = spans.of("SendIt")
    assert sent.parent_id == approved.traceparent[36:52]
    assert sent.again
    assert spans.of("publish execution.intent_recorded.v1").parent_id == sent.span_id


@pytest.mark.req("PLT-06")
@pytest.mark.parametrize("header", ["", "00", "00-" + "z" * 32 + "-" + "1" * 16 + "-01", "00-ab-cd-01", "x" * 55])
def test_a_header_that_is_none_is_passed_over(header: str) -> None:
    async def scenario(spans: Spans) -> None:
        spans.service("regime")
        record = Line().say("market_data", TICK, identity="market_data:r:1:0")
        await settled()
        with Line().handling(record._replace(traceparent=header), TICK):
            pass

    spans = Spans()
    asyncio.run(scenario(spans))
    assert spans.of("process md.slice.v1").parent_id == spans.of("publish md.slice.v1").span_id


@pytest.mark.req("PLT-06")
def test_a_child_order_is_in_its_parents_trace_and_leaves_the_parent_where_it_was() -> None:
    async def scenario(spans: Spans) -> None:
        line = Line()
        spans.service("execution")
        born = line.say("market_data", TICK, identity="market_data:r:1:0")
        with line.handling(born, TICK):
            line.say("execution", a(m.OrderSubmitted, order=ORDER), born)
        child = msgspec.structs.replace(ORDER, client_order_id="o-1-c1", parent_id="o-1")
        later = line.say("market_data", TICK, identity="market_data:r:2:0")
        with line.handling(later, TICK):
            line.say("execution", a(m.OrderSubmitted, order=child), later)
            line.say("execution", a(m.OrderFilled, client_order_id="o-1-c1"), later)
            line.say("execution", a(m.OrderCanceled, client_order_id="o-1"), later)
        await settled()

    spans = Spans()
    asyncio.run(scenario(spans))
    parent, child = (span for span in spans if span.name == "publish order.submitted.v1")
    assert child.parent_id == parent.span_id
    assert spans.of("publish order.filled.v1").parent_id == child.span_id
    assert spans.of("publish order.canceled.v1").parent_id == parent.span_id


def test_orders_of_long_ago_are_forgotten() -> None:
    async def scenario() -> int:
        tracer = tracing.Tracer("execution", 1.0, lambda span: None)
        tracing.use(tracer)
        line = Line()
        tick = line.say("market_data", TICK, identity="market_data:r:1:0")
        for number in range(tracing.ORDERS_LIMIT + 100):
            order = msgspec.structs.replace(ORDER, client_order_id=f"o-{number}")
            with line.handling(tick, a(m.OrderApproved, order=order)):
                pass
        return len(tracer._orders)

    assert asyncio.run(scenario()) == tracing.ORDERS_LIMIT


@pytest.mark.req("PLT-06")
def test_a_collector_that_never_answers_costs_spans_and_no_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        exporter = SpanExporter(f"http://127.0.0.1:{deaf.getsockname()[1]}", "execution", "1", "test")
        before = _dropped("queue_full")
        span = Span(name="x", kind=Kind.CLIENT, trace_id="1" * 32, span_id="2" * 16, parent_id="", start_ns=1)
        parts = []
        for _ in range(32):
            started = time.perf_counter()
            for _ in range(QUEUE_LIMIT // 8):
                exporter.put(span)
            parts.append((time.perf_counter() - started) / (QUEUE_LIMIT // 8))
        put_s = statistics.median(parts)  # a machine that stands still for a moment spoils one part
        started = time.perf_counter()
        exporter.close()
        close_s = time.perf_counter() - started
    print(f"\na span handed over in {put_s * 1e6:.1f} us; closed in {close_s:.2f} s")
    assert _dropped("queue_full") - before >= 2 * QUEUE_LIMIT
    assert put_s < 50e-6
    assert close_s < 1.0


def _dropped(reason: str) -> float:
    samples = (sample for metric in metrics.SPANS_DROPPED.collect() for sample in metric.samples)
    return sum(s.value for s in samples if s.labels == {"reason": reason} and s.name.endswith("_total"))


BASE = {
    "BALLAST_HOME": "/h",
    "BALLAST_SERVICE": "regime",
    "BALLAST_NATS_URL": "nats://x:1",
    "BALLAST_NATS_USER": "regime",
    "BALLAST_NATS_SEED_FILE": "/s",
    "BALLAST_HTTP_PORT": "8080",
    "BALLAST_CONFIG": "/c",
}


@pytest.mark.req("PLT-06")
def test_endpoint_and_ratio_come_from_the_environment_and_survive_it() -> None:
    assert Environment.from_os(BASE).traces_endpoint == ""
    told = Environment.from_os({**BASE, "BALLAST_TRACES_ENDPOINT": "http://c:4318", "BALLAST_TRACES_RATIO": "0.00001"})
    assert told.traces_ratio == 1e-5
    assert Environment.from_os(told.variables()) == told
    assert told.home == Path("/h")


@pytest.mark.parametrize(
    ("name", "value"),
    [("ENDPOINT", "c:4318"), ("ENDPOINT", "http://user:secret@c"), ("RATIO", "2"), ("RATIO", "nan"), ("RATIO", "few")],
)
def test_a_wrong_endpoint_or_ratio_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"BALLAST_TRACES_{name}(?!.*secret)"):
        Environment.from_os({**BASE, f"BALLAST_TRACES_{name}": value})
