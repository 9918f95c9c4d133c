"""What the guardian's state tells a page of gauges."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from common.model.account import Account
from common.model.enums import Severity
from common.model.instrument import Instrument
from common.model.ledger import Position
from common.runtime import metrics
from common.testing.builders import EUR_USD, a
from risk_guardian.gauges import FRACTIONS, LADDERS, Gauges, limits
from risk_guardian.limits import Limits
from risk_guardian.policy import METRICS, Ladders
from risk_guardian.settings import Settings
from risk_guardian.state import Alert, Alerts, Ladder, State

pytestmark = pytest.mark.req("MON-01")

NOW, LATER = 1_000.0, 1_600.0


@pytest.fixture
def gauges() -> Iterator[Gauges]:
    yield Gauges(Settings(), Account(currency="USD"))
    metrics.forget("risk_guardian")


@pytest.fixture(scope="module")
def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    metrics.export("risk_guardian", made)
    return made


def alert(topic: str, severity: Severity) -> Alert:
    return Alert(topic=topic, severity=severity, summary="", runbook="halted.md", said_ns=0)


@pytest.mark.req("RSK-12")
def test_only_alerts_wait_that_nobody_acknowledged_and_that_are_not_over(
    gauges: Gauges, registry: CollectorRegistry
) -> None:
    unacknowledged = {
        "halted-1": alert("halted", Severity.CRITICAL),  # over, and begun again as halted-2
        "halted-2": alert("halted", Severity.CRITICAL),
        "scope-1": alert("scope", Severity.WARNING),  # over
    }
    state = State(alerts=Alerts(standing={"halted": "halted-2", "venue": "venue-1"}, unacknowledged=unacknowledged))
    gauges.observe(state, NOW)
    gauges.observe(state, LATER)
    waiting, oldest = "ballast_alerts_unacknowledged", "ballast_alert_oldest_unacknowledged_timestamp_seconds"
    assert [registry.get_sample_value(waiting, {"severity": each}) for each in Severity] == [0, 0, 1]
    assert registry.get_sample_value(oldest, {"severity": Severity.CRITICAL}) == NOW
    assert registry.get_sample_value(oldest, {"severity": Severity.WARNING}) is None
    state.alerts.unacknowledged.clear()
    gauges.observe(state, LATER)
    assert registry.get_sample_value(waiting, {"severity": Severity.CRITICAL}) == 0
    assert registry.get_sample_value(oldest, {"severity": Severity.CRITICAL}) is None


def test_a_position_counts_with_its_sign_and_without_a_price_it_is_unknown(
    gauges: Gauges, registry: CollectorRegistry
) -> None:
    state = State(instruments={EUR_USD: a(Instrument)}, equity=Decimal(1000))
    state.ledger.positions[EUR_USD] = a(Position, instrument_id=EUR_USD, signed_qty=Decimal(-500))
    exposure = ("ballast_position_exposure_ratio", {"instrument": EUR_USD})
    gauges.observe(state, NOW)
    found = registry.get_sample_value(*exposure)
    assert found is not None
    assert found != found  # NaN
    state.last_px[EUR_USD] = Decimal("1.2")
    gauges.observe(state, NOW)
    assert registry.get_sample_value(*exposure) == pytest.approx(-0.6)
    state.ledger.positions[EUR_USD] = a(Position, instrument_id=EUR_USD, signed_qty=Decimal(0))
    gauges.observe(state, NOW)
    assert registry.get_sample_value(*exposure) == 0


def test_every_ladder_has_a_level_also_on_the_ground(gauges: Gauges, registry: CollectorRegistry) -> None:
    gauges.observe(State(ladders={"drawdown": Ladder(level=2)}), NOW)
    levels = {name: registry.get_sample_value("ballast_ladder_level", {"ladder": name}) for name in METRICS}
    assert levels == {**dict.fromkeys(METRICS, 0), "drawdown": 2}


def test_halted_scopes_are_counted(gauges: Gauges, registry: CollectorRegistry) -> None:
    state = State()
    state.flow.scopes = {"a|": "drill", "|EUR-USD.ECB": "drill"}
    gauges.observe(state, NOW)
    assert registry.get_sample_value("ballast_scopes_halted") == 2


def test_limits_have_plain_names_and_those_that_are_off_are_not_there(
    gauges: Gauges, registry: CollectorRegistry
) -> None:
    found = dict(limits(Settings(limits=Limits(max_gross_exposure=3.0, max_var_95_1d=0.02, max_heat=0.0))))
    assert found["gross_exposure"] == 3.0
    assert found["var"] == 0.02
    assert "heat" not in found
    assert found["drawdown_ladder"] == Ladders().drawdown[0].trigger
    gauges.observe(State(), NOW)
    assert registry.get_sample_value("ballast_limit_ratio", {"limit": "gross_exposure"}) == Limits().max_gross_exposure


def test_the_limits_named_here_are_fields_of_the_settings() -> None:
    assert set(FRACTIONS) <= {field.name for field in msgspec.structs.fields(Limits)}
    assert set(LADDERS) <= set(METRICS)
