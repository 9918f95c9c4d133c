"""A fault of the running system is told at the webhook within thirty seconds, and to the second line when nobody answers."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.alerting.drill import Watched, drill, watched
from tests.alerting.faults import FAULTS, Fault, freeze, says, thaw
from tests.alerting.watchmen import MISSING, installed
from tests.support.system import ballast, until

from common.messages import AlertRaised

pytestmark = [pytest.mark.skipif(not installed(), reason=MISSING), pytest.mark.timeout(600)]

TOLD_WITHIN_S = 30
SOON_S = 20
QUICK = [fault for fault in FAULTS if fault.quick]


@pytest.fixture(scope="module")
def live(prepared_home: Path) -> Iterator[Watched]:
    """A system that trades and is watched; who does not answer within twenty seconds is not waited for."""
    with tempfile.TemporaryDirectory(prefix="ballast-test-") as folder:
        home = Path(folder)
        home.chmod(0o711)  # PostgreSQL's account goes through it when root runs the tests
        subprocess.run(["cp", "-a", f"{prepared_home}/.", home], check=True)
        with watched(home, escalate_after_s=SOON_S) as made:
            yield made


@pytest.mark.req("MON-01", "RSK-12")
@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.alert)
def test_a_fault_is_told_at_the_webhook_within_thirty_seconds(live: Watched, fault: Fault) -> None:
    print(f"\n{fault.name}: {fault.alert} at the webhook after {drill(live, fault):.1f} s")


@pytest.mark.req("MON-01", "RSK-12")
def test_a_critical_alert_goes_to_the_second_line_unless_it_is_silenced_in_time(live: Watched) -> None:
    down, webhook, frozen = "ServiceDown", live.webhook, ("regime", "portfolio")
    began = time.monotonic()
    for service in frozen:
        freeze(service)(live.system)
    try:
        until(
            lambda: all(webhook.heard(down, service=name) for name in frozen), "the first line is told", TOLD_WITHIN_S
        )
        first = webhook.heard(down, service="regime")
        live.watchmen.silence(alertname=down, service="portfolio")
        until(lambda: webhook.heard(down, "escalation", service="regime") is not None, "it escalates", 3 * SOON_S)
        second = webhook.heard(down, "escalation", service="regime")
        time.sleep(SOON_S / 2)
    finally:
        for service in frozen:
            thaw(service)(live.system)
    assert webhook.heard(down, "escalation", service="portfolio") is None
    assert first is not None
    assert second is not None
    print(f"\nfirst line after {first.at - began:.1f} s, second line {second.at - first.at:.1f} s later")
    assert SOON_S - 5 <= second.at - first.at <= 2 * SOON_S


@pytest.mark.req("RSK-12")
def test_an_alert_of_the_guardian_goes_to_the_second_line_until_somebody_acknowledges_it(live: Watched) -> None:
    began = time.monotonic()
    says("halt", "--reason", "drill")(live.system)
    try:
        until(
            lambda: live.webhook.heard("TradingHalted", since=began) is not None,
            "the first line is told",
            TOLD_WITHIN_S,
        )
        unanswered = "CriticalAlertUnacknowledged"
        until(lambda: live.webhook.heard(unanswered, "escalation", since=began) is not None, "it escalates", 90)
        assert live.webhook.heard("TradingHalted", "escalation", since=began) is None
        raised = [alert for _, alert in live.system.said(AlertRaised) if isinstance(alert, AlertRaised)]
        halted = [alert.alert_id for alert in raised if alert.runbook == "halted.md"]
        assert ballast(live.system.home, "acknowledge", halted[-1])["confirmed"]
        until(lambda: unanswered not in live.watchmen.firing(), "the acknowledgement ends it", 30)
        assert "TradingHalted" in live.watchmen.firing()
    finally:
        says("resume", "--reason", "drill is over")(live.system)
