"""What a real system exports is the catalogue, and what it counts is what is on its tape."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.system import SPAN, System, ballast, until

from common import messages as m
from common.messages.base import Envelope, Message
from common.runtime.metrics import METRICS, SERVICES
from common.runtime.supervisor import Status

pytestmark = [pytest.mark.integration, pytest.mark.req("MON-01", "MON-03"), pytest.mark.timeout(240)]

NEEDS_FAULT = {
    "ballast_feature_enabled": "a strategy, a stop or a cost model that raises",
}
NEEDS_HALT = {"ballast_alerts_raised_total", "ballast_alert_oldest_unacknowledged_timestamp_seconds"}

Labels = tuple[tuple[str, str], ...]


class Scrape:
    """What `/metrics` of one service says now."""

    def __init__(self, home: Path, service: str) -> None:
        status = Status.load(home)
        assert status is not None
        text = httpx.get(f"{_address(status, service)}/metrics", timeout=10).text
        self.samples: dict[tuple[str, Labels], float] = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def names(self) -> set[str]:
        """Of metrics with at least one series; buckets, counts and sums are their histogram."""
        return {re.sub(r"_(bucket|count|sum)$", "", name) for name, _ in self.samples if name.startswith("ballast_")}

    def get(self, name: str, **labels: str) -> float:
        return self.samples.get((name, tuple(sorted(labels.items()))), math.nan)

    def by(self, name: str, label: str) -> dict[str, float]:
        """Values above 0, by the value of one label."""
        found = {dict(labels)[label]: value for (this, labels), value in self.samples.items() if this == name}
        return {key: value for key, value in found.items() if value > 0}


def _address(status: Status, service: str) -> str:
    return f"http://127.0.0.1:{status.processes[service].http_port}"


@pytest.fixture
def ended(home: Path) -> Iterator[System]:
    """A system that has come to the end of its data and is still up."""
    with System(home, *SPAN, "--speed", "max") as system:
        until(lambda: bool(system.said(m.MarketDataEnded)), "the data is over", 120)
        until(lambda: _steps(system, m.RiskStep) == _steps(system, m.MarketSlice), "the last step is closed")
        until(lambda: Scrape(home, "recorder").get("ballast_nats_up") == 1, "the recorder has asked the servers")
        yield system


def test_a_running_system_exports_every_metric_of_the_catalogue_and_counts_what_is_on_its_tape(
    ended: System, home: Path
) -> None:
    password = (home / "secrets/gateway_password").read_text()
    asked = httpx.post(f"{_address(_status(home), 'gateway')}/api/v1/risk/stress", json={}, auth=("admin", password))
    assert asked.status_code == 202, asked.text  # a command, so that the gateway has said something
    tape = ended.tape()
    until(lambda: _knows_its_book(home, tape), "gauges follow within a second")
    until(lambda: Scrape(home, "risk_guardian").get("ballast_ladder_level", ladder="var") >= 0, "it has been observed")
    scrapes = {service: Scrape(home, service) for service in SERVICES}
    _every_name_is_there(scrapes, but=NEEDS_FAULT.keys() | NEEDS_HALT)
    tape = ended.tape()
    _counters_tell_the_tape(scrapes, tape)
    _hops_are_differences_of_wall_clocks(scrapes["regime"], tape)
    for server in ("nats", "redis", "postgres"):
        assert scrapes["recorder"].get(f"ballast_{server}_up") == 1

    ended.kill("risk_guardian")
    until(lambda: _knows_its_book(home, tape), "the guardian that was started again knows how things are")
    assert Scrape(home, "risk_guardian").by("ballast_orders_approved_total", "strategy") == {}

    assert ballast(home, "halt", "--reason", "drill")["confirmed"]
    until(lambda: Scrape(home, "risk_guardian").names() >= NEEDS_HALT, "the alert can be seen", 5)
    halted = Scrape(home, "risk_guardian")
    assert halted.get("ballast_alerts_raised_total", code="halted", severity="CRITICAL") == 1
    assert halted.get("ballast_alerts_unacknowledged", severity="CRITICAL") == 1
    until(lambda: Scrape(home, "risk_guardian").get("ballast_trading_state", state="HALTED") == 1, "halted", 5)
    print(f"\n{len(METRICS)} metrics, {sum(len(one.samples) for one in scrapes.values())} series in 8 services")


def _every_name_is_there(scrapes: dict[str, Scrape], but: set[str]) -> None:
    missing = {
        service: sorted(
            metric.name
            for metric in METRICS
            if service in metric.services and metric.name not in scrape.names() and metric.name not in but
        )
        for service, scrape in scrapes.items()
    }
    assert {service: names for service, names in missing.items() if names} == {}
    known = {metric.name for metric in METRICS}
    assert [name for scrape in scrapes.values() for name in scrape.names() if name not in known] == []


def _counters_tell_the_tape(scrapes: dict[str, Scrape], tape: list[tuple[int, Envelope, Message]]) -> None:
    said: Counter[str] = Counter(envelope.type for _, envelope, _ in tape)
    all_of = {kind: [message for _, _, message in tape if isinstance(message, kind)] for kind in m.MESSAGES}
    execution, guardian = scrapes["execution"], scrapes["risk_guardian"]
    assert scrapes["market_data"].get("ballast_slices_total") == said[m.MarketSlice.TYPE] > 100
    assert scrapes["signals"].by("ballast_signals_total", "strategy") == Counter(
        signal.strategy_id for step in all_of[m.SignalsStep] for signal in step.signals
    )
    assert scrapes["portfolio"].by("ballast_orders_proposed_total", "strategy") == Counter(
        order.strategy_id for step in all_of[m.PortfolioStep] for order in step.orders
    )
    assert guardian.by("ballast_orders_approved_total", "strategy") == Counter(
        message.order.strategy_id for message in all_of[m.OrderApproved]
    )
    denied = Counter(guardian.by("ballast_orders_denied_total", "code"))
    denied.update(execution.by("ballast_orders_denied_total", "code"))
    assert denied == Counter(message.code for message in all_of[m.OrderDenied])
    assert execution.get("ballast_orders_submitted_total") == said[m.OrderSubmitted.TYPE] > 0
    assert sum(execution.by("ballast_fills_total", "strategy").values()) == said[m.OrderFilled.TYPE] > 0
    for currency in {message.commission_currency for message in all_of[m.OrderFilled]}:
        commission = sum(each.commission for each in all_of[m.OrderFilled] if each.commission_currency == currency)
        paid = execution.get("ballast_costs_total", kind="commission", currency=currency)
        assert paid == pytest.approx(float(commission))
    assert execution.get("ballast_order_roundtrip_seconds_count") > 0
    assert execution.get("ballast_tick_to_order_seconds_count") > 0
    assert guardian.get("ballast_step_seconds_count") == pytest.approx(said[m.RiskStep.TYPE], abs=3)


def _hops_are_differences_of_wall_clocks(regime: Scrape, tape: list[tuple[int, Envelope, Message]]) -> None:
    """Of the steps that came when it had recovered, which are the last ones."""
    at = {seq: envelope.ts_init for seq, envelope, _ in tape}
    hops = [
        (envelope.ts_init - at[envelope.cause_seq]) / 1e9
        for _, envelope, _ in tape
        if envelope.type == m.RegimeStep.TYPE
    ]
    name, count = "ballast_hop_seconds", int(regime.get("ballast_hop_seconds_count", type=m.RegimeStep.TYPE))
    assert len(hops) - 3 <= count <= len(hops)
    assert regime.get(f"{name}_sum", type=m.RegimeStep.TYPE) == pytest.approx(sum(hops[-count:]))


def _gauges_tell_the_last_step(guardian: Scrape, tape: list[tuple[int, Envelope, Message]]) -> None:
    envelope, last = next((e, message) for _, e, message in reversed(tape) if isinstance(message, m.RiskStep))
    assert last.equity is not None
    assert guardian.get("ballast_equity", book=last.book) == pytest.approx(float(last.equity))
    assert guardian.get("ballast_drawdown_ratio", book=last.book) == pytest.approx(last.drawdown)
    assert guardian.get("ballast_trading_state", state=last.trading_state) == 1
    assert guardian.get("ballast_last_step_timestamp_seconds") == pytest.approx(envelope.ts_init / 1e9)
    assert guardian.get("ballast_leader") == 1


def _knows_its_book(home: Path, tape: list[tuple[int, Envelope, Message]]) -> bool:
    """It leads first and looks up how things were then, a gauge after the other: a take-over does not wait for them."""
    try:
        _gauges_tell_the_last_step(Scrape(home, "risk_guardian"), tape)
    except (httpx.HTTPError, AssertionError):
        return False
    return True


def _status(home: Path) -> Status:
    status = Status.load(home)
    assert status is not None
    return status


def _steps(system: System, kind: type[Message]) -> int:
    said = system.said(kind)
    return getattr(said[-1][1], "step", 0) if said else 0
