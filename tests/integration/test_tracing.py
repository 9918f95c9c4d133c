"""One tick followed to its order through six processes, as a collector sees it; and no collector, however bad, changes a run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.collector import Collector, Received
from support.system import System, ballast, until

from common import messages as m
from common.contracts import DECIDING
from common.runtime import tracing
from common.runtime.codec import encode_envelope
from common.runtime.session import envelope
from common.runtime.span_exporter import SpanExporter
from common.runtime.subjects import subject
from common.runtime.tape import Record
from common.testing.builders import a

ROOT = Path(__file__).parents[2]
SPAN = ("--from", "2015-01-01", "--to", "2015-05-01")
PRODUCER, CONSUMER, CLIENT = 4, 5, 3  # of OTLP
WAY_OF_AN_ORDER = (
    ("market_data", "publish md.slice.v1"),
    ("risk_guardian", "publish order.approved.v1"),
    ("execution", "process order.approved.v1"),
    ("execution", "RecordIntent"),
    ("execution", "publish execution.intent_recorded.v1"),
    ("execution", "process execution.intent_recorded.v1"),
    ("execution", "publish order.submitted.v1"),
)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the run must come to: a backtest of the same data, which knows no traces."""
    return ballast(tmp_path_factory.mktemp("backtest"), "backtest", *SPAN)


def run(home: Path, url: str, ratio: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("BALLAST_TRACES_RATIO", ratio)
    return ballast(home, "up", *SPAN, "--until-end", "--traces", url)


@pytest.mark.req("PLT-06")
@pytest.mark.integration
def test_a_filled_order_is_one_trace_through_six_services(
    home: Path, calm: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collector() as collector:
        result = run(home, collector.url, "1", monkeypatch)
    assert result["digest"] == calm["digest"]
    filled = next(span for span in collector.spans if span.name == "publish order.filled.v1")
    spans = [span for span in collector.spans if span.trace_id == filled.trace_id]
    assert {span.service for span in spans} == set(DECIDING)
    _is_a_tree_in_order_of_time(spans)
    _leads_from_the_tick_to_the_venue(spans, filled)
    _says_what_it_is(filled)
    assert len({span.span_id for span in collector.spans}) == len(collector.spans)
    print(f"\n{len(collector.spans)} spans of {result['steps']} steps; {len(spans)} in the trace of one filled order")


def _is_a_tree_in_order_of_time(spans: Sequence[Received]) -> None:
    by_id = {span.span_id: span for span in spans}
    roots = [span for span in spans if not span.parent_id]
    assert [root.name for root in roots] == ["publish md.slice.v1"]
    for span in spans:
        assert span.end_ns >= span.start_ns
        if span.parent_id:
            assert by_id[span.parent_id].start_ns <= span.start_ns
            below = {PRODUCER: {CONSUMER, CLIENT, PRODUCER}, CONSUMER: {PRODUCER}, CLIENT: {CONSUMER}}
            assert by_id[span.parent_id].kind in below[span.kind]


def _leads_from_the_tick_to_the_venue(spans: Sequence[Received], filled: Received) -> None:
    order = filled.attributes["ballast.order_id"]
    by_id = {span.span_id: span for span in spans}
    submitted = next(
        span
        for span in spans
        if span.name == "publish order.submitted.v1" and span.attributes["ballast.order_id"] == order
    )
    way = [submitted]
    while way[0].parent_id:
        way.insert(0, by_id[way[0].parent_id])
    names = [(span.service, span.name) for span in way]
    assert [step for step in names if step in WAY_OF_AN_ORDER] == list(WAY_OF_AN_ORDER)
    assert filled.parent_id in {submitted.span_id, submitted.parent_id}


def _says_what_it_is(filled: Received) -> None:
    assert filled.kind == PRODUCER
    said = filled.attributes
    assert said["messaging.system"] == "nats"
    assert said["messaging.destination.template"] == "order.filled.v1"
    assert said["ballast.tape_seq"] > 0
    assert said["ballast.instrument"]


@pytest.mark.req("PLT-06")
@pytest.mark.integration
def test_nothing_is_exported_at_ratio_0_and_a_collector_that_never_answers_changes_nothing(
    home: Path, calm: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collector() as collector:
        quiet = run(home, collector.url, "0", monkeypatch)
    assert quiet["digest"] == calm["digest"]
    assert collector.requests == 0
    with Collector(answers=False) as deaf:
        loud = run(home, deaf.url, "1", monkeypatch)
        assert deaf.requests > 0
        assert not deaf.spans
    assert loud["digest"] == calm["digest"]
    print(f"\nwall: nothing sampled {quiet['wall_s']} s, all sampled and the collector hangs {loud['wall_s']} s")
    assert loud["restarts"] == 0
    assert loud["wall_s"] < 2 * quiet["wall_s"] + 5


@pytest.mark.req("PLT-06")
@pytest.mark.integration
def test_a_stop_is_traced_though_no_tick_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALLAST_TRACES_RATIO", "0")
    with Collector() as collector:
        with System(home, *SPAN, "--speed", "15", "--traces", collector.url) as system:
            until(lambda: bool(system.said(m.PortfolioStep)), "the system trades")
            ballast(home, "halt", "--reason", "drill")
            until(lambda: bool(system.said(m.TradingStateChanged)), "the guardian has halted")
        spans = [span for span in collector.spans if span.trace_id == _halt(collector.spans).trace_id]
    assert {"risk_guardian", "execution"} <= {span.service for span in spans}
    assert not any(span.name == "publish md.slice.v1" for span in collector.spans)
    logged = (home / "logs" / "risk_guardian.log").read_text()
    assert "traces cannot be exported" not in logged


def _halt(spans: Sequence[Received]) -> Received:
    return next(span for span in spans if span.name == "process cmd.risk_guardian.halt.v1")


@pytest.mark.req("PLT-06")
@pytest.mark.integration
def test_handling_a_message_is_as_quick_with_a_collector_that_hangs() -> None:
    off = min(_p99_s(None) for _ in range(2))  # the machine has other work, too
    with Collector(answers=False) as deaf:
        exporter = SpanExporter(deaf.url, "execution", "1", "test")
        hanging = min(_p99_s(tracing.Tracer("execution", 1.0, exporter.put)) for _ in range(2))
        exporter.close()
    print(
        f"\np99 of handling: no traces {off * 1e6:.0f} us, every message traced and the collector hangs {hanging * 1e6:.0f} us"
    )
    assert hanging < off + 0.001


def _p99_s(tracer: tracing.Tracer | None, count: int = 3000) -> float:
    """Of reading a slice, some work, and answering it."""

    async def handle_all() -> list[float]:
        took = []
        answer = a(m.OrderApproved)
        for step in range(count):
            tick = a(m.MarketSlice, step=step)
            read = envelope("market_data", tick, f"market_data:r:{step}:0", cause=None)
            record = Record(step, encode_envelope(read), 0)
            stored: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            started = time.perf_counter()
            with tracing.handling(record, read, tick, again=False, mute=False):
                sum(range(2000))
                said = envelope("execution", answer, f"execution:{step}:0", cause=(step, 0, read))
                tracing.publishing(subject(answer), said, stored)
            took.append(time.perf_counter() - started)
            stored.set_result(step)
            await asyncio.sleep(0.0005)
        return sorted(took)

    tracing.use(tracer)
    try:
        return asyncio.run(handle_all())[int(count * 0.99)]
    finally:
        tracing.use(None)


@pytest.mark.req("PLT-05")
def test_the_collector_takes_what_the_services_send_and_uses_what_it_defines() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "otel" / "collector.yml").read_text())
    assert config["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(":4318")
    pipeline = config["service"]["pipelines"]["traces"]
    assert pipeline["processors"][0] == "memory_limiter"
    for kind, names in pipeline.items():
        assert set(names) == set(config[kind])
    assert set(config["service"]["extensions"]) == set(config["extensions"])
