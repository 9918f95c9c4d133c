"""Metrics: the catalogue, who exports what, and what a message means."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from common import messages as m
from common.isolation import Feature
from common.messages.base import Envelope, Message
from common.messages.market_data import QuarantineReason
from common.messages.orders import Order
from common.model.enums import DenyCode, Regime, TradingState
from common.model.parties import MANUAL
from common.runtime import metrics
from common.runtime.memory_tape import MemoryLog, MemoryTape
from common.runtime.metrics import METRICS, SERVICES
from common.runtime.session import Session
from common.runtime.session import envelope as seal
from common.runtime.subjects import subject
from common.runtime.trading_metrics import STEPS_KEPT, TradingMetrics, observe_features
from common.testing.builders import a

pytestmark = pytest.mark.req("MON-01")

SECOND = 10**9
NAME = re.compile(r"ballast(_[a-z0-9]+)+")
UNITS = ("seconds", "bytes", "ratio", "bps", "messages")
EVERYTHING = CollectorRegistry()
for metric in METRICS:
    EVERYTHING.register(metric.collector)


def value(name: str, **labels: str) -> float | None:
    found: float | None = EVERYTHING.get_sample_value(name, labels)
    return found


@pytest.fixture(autouse=True)
def nobody_knows_anything() -> Iterator[None]:
    yield
    for service in SERVICES:
        metrics.forget(service)


class Rise:
    """How much a sample has grown since."""

    def __init__(self, name: str, **labels: str) -> None:
        self._name, self._labels = name, labels
        self._before = value(name, **labels) or 0.0

    @property
    def by(self) -> float:
        return (value(self._name, **self._labels) or 0.0) - self._before


def at(message: Message, ts_init: int, service: str = "execution") -> Envelope:
    return msgspec.structs.replace(seal(service, message, "id", cause=None), ts_init=ts_init)


def say(watch: TradingMetrics, message: Message, ts_init: int = 5 * SECOND) -> None:
    watch.said(at(message, ts_init), message)
    watch.flush()


# --- the catalogue --------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_follows_the_convention_and_says_what_it_means(metric: metrics.Metric) -> None:
    assert NAME.fullmatch(metric.name)
    assert metric.help
    assert "|" not in metric.help
    assert (metric.kind == "counter") is metric.name.endswith("_total")
    if metric.kind == "histogram":
        assert metric.name.rpartition("_")[2] in UNITS
    if metric.unit.endswith(("seconds", "bytes", "messages")) and metric.kind != "counter":
        assert metric.name.endswith(metric.unit.rpartition(" ")[2])
    assert metric.services
    assert set(metric.services) <= set(SERVICES)


def test_no_name_is_given_twice() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))


def test_the_page_is_up_to_date() -> None:
    path = Path(__file__).parents[3] / "tools/metrics.py"
    spec = importlib.util.spec_from_file_location("metrics_page", path)
    assert spec
    assert spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.main(["--check"]) == 0


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_exports_its_own_metrics_and_no_others(service: str) -> None:
    registry = CollectorRegistry()
    metrics.export(service, registry)
    metrics.export(service, registry)  # again changes nothing
    exported = {family.name for family in registry.collect()}
    owned = {metric.name.removesuffix("_total") for metric in METRICS if service in metric.services}
    assert exported == owned


def test_nobody_knows_a_fact_before_it_is_said_and_what_can_be_counted_begins_at_zero() -> None:
    assert math.isnan(value("ballast_last_slice_timestamp_seconds") or 0)
    assert value("ballast_equity", book="fx") is None
    assert value("ballast_ready") == 0
    for code in DenyCode:
        assert value("ballast_orders_denied_total", code=code) is not None
    for reason in QuarantineReason:
        assert value("ballast_rows_quarantined_total", reason=reason) is not None


# --- what a message means -------------------------------------------------------------------------------


def test_what_is_said_is_counted_by_whom_it_concerns() -> None:
    order = a(Order)
    cases: list[tuple[str, Message, str, dict[str, str], float]] = [
        ("market_data", a(m.MarketSlice), "ballast_slices_total", {}, 1),
        (
            "signals",
            a(m.SignalsStep),
            "ballast_signals_total",
            {"strategy": a(m.SignalsStep).signals[0].strategy_id},
            1,
        ),
        ("portfolio", a(m.PortfolioStep), "ballast_orders_proposed_total", {"strategy": order.strategy_id}, 1),
        ("risk_guardian", a(m.OrderApproved), "ballast_orders_approved_total", {"strategy": order.strategy_id}, 1),
        ("execution", a(m.OrderSubmitted), "ballast_orders_submitted_total", {}, 1),
        ("execution", a(m.OrderRejected), "ballast_orders_ended_total", {"outcome": "rejected"}, 1),
        ("execution", a(m.OrderCanceled), "ballast_orders_ended_total", {"outcome": "canceled"}, 1),
        ("execution", a(m.OrderExpired), "ballast_orders_ended_total", {"outcome": "expired"}, 1),
        ("execution", a(m.OrderFilled, leaves_qty=Decimal(0)), "ballast_orders_ended_total", {"outcome": "filled"}, 1),
        ("execution", a(m.OrderFilled, leaves_qty=Decimal(1)), "ballast_orders_ended_total", {"outcome": "filled"}, 0),
        (
            "execution",
            a(m.OrderFilled, slippage_bps=2.5),
            "ballast_slippage_sum_bps_total",
            {"direction": "worse"},
            2.5,
        ),
        (
            "execution",
            a(m.OrderFilled, slippage_bps=-2.0),
            "ballast_slippage_sum_bps_total",
            {"direction": "better"},
            2,
        ),
        ("execution", a(m.OrderFilled, slippage_bps=-2.0), "ballast_slippage_bps_bucket", {"le": "-2.0"}, 1),
        ("execution", a(m.ReconciliationBreak, open=False), "ballast_reconciliation_breaks_total", {"kind": "CASH"}, 0),
    ]
    for kind in ("risk_guardian", "execution"):
        denied = a(m.OrderDenied, code=DenyCode.MAX_VAR)
        cases.append((kind, denied, "ballast_orders_denied_total", {"code": "MAX_VAR"}, 1))
    for service, message, name, labels, by in cases:
        rise = Rise(name, **labels)
        say(TradingMetrics(service), message)
        assert rise.by == pytest.approx(by), (message, name)


def test_a_service_counts_only_what_it_may_say() -> None:
    rise = Rise("ballast_fills_total", strategy=a(m.OrderFilled).strategy_id)
    say(TradingMetrics("risk_guardian"), a(m.OrderFilled))
    assert rise.by == 0


def test_costs_are_money_paid_and_what_is_received_is_counted_by_itself() -> None:
    paid, received = (Rise("ballast_costs_total", kind=k, currency="USD") for k in ("financing", "financing_received"))
    watch = TradingMetrics("execution")
    say(watch, a(m.FinancingCharged, amount=Decimal("-1.25"), currency="USD"))
    say(watch, a(m.FinancingCharged, amount=Decimal(3), currency="USD"))
    assert (paid.by, received.by) == (1.25, 3)


def test_a_position_without_a_price_leaves_no_equity_and_not_a_zero() -> None:
    watch = TradingMetrics("risk_guardian")
    say(watch, a(m.RiskStep, book="fx", equity=Decimal(200), gross_exposure=Decimal(50), drawdown=0.25))
    assert value("ballast_equity", book="fx") == 200
    assert value("ballast_gross_exposure_ratio", book="fx") == 0.25
    assert value("ballast_drawdown_ratio", book="fx") == 0.25
    say(watch, a(m.RiskStep, book="fx", equity=None))
    assert math.isnan(value("ballast_equity", book="fx") or 0)
    assert math.isnan(value("ballast_gross_exposure_ratio", book="fx") or 0)


def test_exactly_one_trading_state_is_on() -> None:
    for state in TradingState:
        say(TradingMetrics("risk_guardian"), a(m.RiskStep, trading_state=state))
        assert [one for one in TradingState if value("ballast_trading_state", state=one)] == [state]


def test_only_the_regime_of_now_is_there_and_its_first_one_is_no_change() -> None:
    watch, step = TradingMetrics("regime"), a(m.RegimeStep)
    reading = step.readings[0]
    where = {"instrument": reading.instrument_id, "timeframe": str(reading.timeframe)}
    changes = Rise("ballast_regime_changes_total", **where)
    for regime in (Regime.RANGING, Regime.RANGING, Regime.CRISIS):
        say(watch, a(m.RegimeStep, readings=(msgspec.structs.replace(reading, regime=regime),)))
    assert changes.by == 1
    assert [one for one in Regime if value("ballast_regime", regime=one, **where) is not None] == [Regime.CRISIS]


def test_an_instrument_without_news_keeps_the_time_of_its_last_price() -> None:
    watch, bar = TradingMetrics("market_data"), a(m.MarketSlice).bars[0]
    for name, ts in (("A", 7), ("B", 8), ("B", 9)):
        bars = (msgspec.structs.replace(bar, instrument_id=name),)
        message = a(m.MarketSlice, bars=bars, quotes=())
        watch.said(at(message, ts * SECOND), message)
    watch.flush()
    prices = "ballast_instrument_last_price_timestamp_seconds"
    assert (value(prices, instrument="A"), value(prices, instrument="B")) == (7, 9)
    assert value("ballast_last_slice_timestamp_seconds") == 9


# --- times ----------------------------------------------------------------------------------------------


def hear(watch: TradingMetrics, message: Message, ts_init: int) -> None:
    watch.heard(at(message, ts_init), message)


@pytest.mark.req("MON-03")
def test_a_tick_is_followed_to_its_order_and_to_the_venues_answer() -> None:
    watch, order = TradingMetrics("execution"), a(Order)
    to_order, trip = Rise("ballast_tick_to_order_seconds_sum"), Rise("ballast_order_roundtrip_seconds_sum")
    hear(watch, a(m.MarketSlice, step=3), 10 * SECOND)
    hear(watch, a(m.OrderApproved, step=3, order=order), 11 * SECOND)
    say(watch, a(m.OrderSubmitted, order=order), 14 * SECOND)
    say(watch, a(m.OrderAccepted, client_order_id=order.client_order_id), 16 * SECOND)
    assert to_order.by == pytest.approx(4)
    assert trip.by == pytest.approx(2)


@pytest.mark.req("MON-03")
def test_an_order_by_hand_answers_no_tick() -> None:
    watch = TradingMetrics("execution")
    order = msgspec.structs.replace(a(Order), strategy_id=MANUAL)
    counted = Rise("ballast_tick_to_order_seconds_count")
    hear(watch, a(m.MarketSlice, step=3), 10 * SECOND)
    hear(watch, a(m.OrderApproved, step=3, order=order), 11 * SECOND)
    say(watch, a(m.OrderSubmitted, order=order), 14 * SECOND)
    assert counted.by == 0


@pytest.mark.req("MON-03")
def test_a_step_lasts_from_its_own_slice_until_it_is_closed_and_never_less_than_nothing() -> None:
    watch, lasted = TradingMetrics("risk_guardian"), Rise("ballast_step_seconds_sum")
    counted = Rise("ballast_step_seconds_count")
    hear(watch, a(m.MarketSlice, step=1), 10 * SECOND)
    hear(watch, a(m.MarketSlice, step=2), 11 * SECOND)
    say(watch, a(m.RiskStep, step=1), 13 * SECOND)
    say(watch, a(m.RiskStep, step=2), 10 * SECOND)  # another machine's clock is ahead
    say(watch, a(m.RiskStep, step=9), 14 * SECOND)  # its slice was read by somebody before us
    assert lasted.by == pytest.approx(3)
    assert counted.by == 2


def test_what_is_remembered_is_bounded() -> None:
    watch = TradingMetrics("risk_guardian")
    for step in range(10 * STEPS_KEPT):
        hear(watch, a(m.MarketSlice, step=step), SECOND)
    assert len(watch._slices) == STEPS_KEPT


# --- after a restart ------------------------------------------------------------------------------------


def test_who_starts_again_knows_from_the_tape_how_things_were_and_counts_nothing_twice() -> None:
    async def restart() -> None:
        tape = MemoryTape(MemoryLog())
        for service, message in (
            ("market_data", a(m.MarketSlice)),
            ("risk_guardian", a(m.RiskStep, book="fx", step=1, equity=Decimal(1))),
            ("risk_guardian", a(m.RiskStep, book="fx", step=2, equity=Decimal(2))),
        ):
            sealed = msgspec.structs.replace(at(message, 8 * SECOND, service), id=f"{message.TYPE}:{id(message)}")
            await tape.append(subject(message), sealed)
        poison = msgspec.structs.replace(at(a(m.StressTested), SECOND), data=msgspec.Raw(b"{}"))
        await tape.append(subject(a(m.StressTested)), poison)  # is no reason not to start
        await TradingMetrics("risk_guardian").restore(tape)

    counted = Rise("ballast_step_seconds_count")
    asyncio.run(restart())
    assert value("ballast_equity", book="fx") == 2
    assert value("ballast_last_step_timestamp_seconds") == 8
    assert math.isnan(value("ballast_last_slice_timestamp_seconds") or 0)  # not the guardian's
    assert counted.by == 0


def test_who_no_longer_speaks_forgets_facts_and_keeps_what_it_is() -> None:
    say(TradingMetrics("risk_guardian"), a(m.RiskStep, book="fx"))
    metrics.READY.set(1)
    metrics.forget("risk_guardian")
    assert value("ballast_equity", book="fx") is None
    assert math.isnan(value("ballast_last_step_timestamp_seconds") or 0)
    assert value("ballast_ready") == 1


def test_features_are_there_once_they_have_failed() -> None:
    state: Any = msgspec.defstruct("State", [("features", dict[str, Feature])])(
        {"shaky": Feature(failures=1), "broken": Feature(disabled_since_ns=1)}
    )
    observe_features(state)
    assert value("ballast_feature_enabled", feature="shaky") == 1
    assert value("ballast_feature_enabled", feature="broken") == 0


# --- in a session ---------------------------------------------------------------------------------------


class Echo:
    """Answers every slice."""

    def __init__(self) -> None:
        self.state = msgspec.defstruct("Nothing", [])()

    def handle(self, message: Message) -> Sequence[Message]:
        return [a(m.RegimeStep, step=message.step)] if isinstance(message, m.MarketSlice) else []

    def pending(self) -> Sequence[Any]:
        return ()


@pytest.mark.req("MON-03", "PLT-12")
def test_a_standby_counts_nothing_of_its_leader_and_hops_are_timed_only_in_the_present() -> None:
    said = Rise("ballast_messages_said_total", type=m.RegimeStep.TYPE)
    hops = Rise("ballast_hop_seconds_count", type=m.RegimeStep.TYPE)
    before, after = 4, 3

    async def publish(log: MemoryLog, first: int, count: int) -> None:
        for step in range(first, first + count):
            message = a(m.MarketSlice, step=step)
            await MemoryTape(log).append(subject(message), seal("market_data", message, f"{step}", cause=None))

    async def both() -> None:
        log = MemoryLog()
        await publish(log, 1, before)
        tapes = MemoryTape(log), MemoryTape(log)
        leader = Session("regime", Echo(), tapes[0], mark="m")
        standby = Session("regime", Echo(), tapes[1], mark="m", standby=True)
        await leader.start()
        await standby.start()
        async with asyncio.timeout(5):
            while leader.recovering or standby.recovering:  # noqa: ASYNC110 it happens in the tape's callbacks
                await asyncio.sleep(0)
            await publish(log, 1 + before, after)
            last = log.sequence_of[f"{before + after}"]
            while min(leader.seq, standby.seq) < last:  # noqa: ASYNC110
                await asyncio.sleep(0)
        for tape in tapes:
            await tape.close()

    asyncio.run(both())
    assert said.by == before + after
    assert hops.by == after
