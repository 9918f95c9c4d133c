"""Alerts: once while a condition lasts, louder when nobody answers, each with a run-book that exists (RSK-12)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import (
    AcknowledgeAlert,
    AlertAcknowledged,
    AlertRaised,
    FeatureChanged,
    HaltScope,
    LadderChanged,
    Message,
    ReconciliationBreak,
    RiskMeasured,
    ScopeHalted,
    StressTested,
    TradingStateChanged,
    VenueHealth,
)
from common.messages.orders import BreakKind
from common.messages.risk import ScenarioResult
from common.model.enums import Severity, TradingState
from common.model.time import NS_PER_MINUTE
from common.testing.builders import T0, a
from risk_guardian.alerts import KEPT, LADDER_RUNBOOKS, RULES, Alarms, AlertSettings
from risk_guardian.policy import METRICS, Ladders, Level
from risk_guardian.state import State

RUNBOOKS = Path(__file__).parents[3] / "docs/runbooks"
LADDERS = Ladders(stress=(Level(trigger=0.3, release=0.2),))
BAD = a(ScenarioResult, scenario="btc", breached=True)
GOOD = a(ScenarioResult, scenario="btc", breached=False)
ACTIVE, _, HALTED = TradingState

CONDITIONS: dict[type[Message], tuple[dict[str, Any], dict[str, Any], Severity]] = {  # what begins it, ends it, how bad
    LadderChanged: (
        {"ladder": "drawdown", "level": 3, "previous": 0},
        {"ladder": "drawdown", "level": 0, "previous": 3},
        Severity.CRITICAL,
    ),
    TradingStateChanged: ({"state": HALTED}, {"state": ACTIVE}, Severity.CRITICAL),
    ScopeHalted: ({"halted": True}, {"halted": False}, Severity.WARNING),
    ReconciliationBreak: (
        {"kind": BreakKind.POSITION, "open": True},
        {"kind": BreakKind.POSITION, "open": False},
        Severity.CRITICAL,
    ),
    VenueHealth: ({"usable": False}, {"usable": True}, Severity.WARNING),
    FeatureChanged: ({"enabled": False}, {"enabled": True}, Severity.WARNING),
    StressTested: ({"results": (BAD,)}, {"results": (GOOD,)}, Severity.WARNING),
    RiskMeasured: (
        {"var_days": 100, "var_breaches": 20, "kupiec_p": 0.001},
        {"var_days": 100, "var_breaches": 5, "kupiec_p": 1.0},
        Severity.WARNING,
    ),
}
KINDS = pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)


class Desk:
    """Alarms with their state, and a clock in minutes."""

    def __init__(self, **settings: Any) -> None:
        self.alarms, self.state = Alarms(AlertSettings(**settings), LADDERS), State(book="fx", ts=T0)

    def hear(self, kind: type[Message], /, **changes: Any) -> list[AlertRaised]:
        return list(self.alarms.about(msgspec.structs.replace(a(kind), **changes), self.state))

    def minutes(self, minutes: float) -> list[AlertRaised]:
        self.state.ts += int(minutes * NS_PER_MINUTE)
        return list(self.alarms.escalate(self.state))

    def acknowledge(self, alert_id: str) -> list[AlertAcknowledged]:
        return list(self.alarms.acknowledge(a(AcknowledgeAlert, alert_id=alert_id, author="me"), self.state))


@pytest.mark.req("RSK-12")
@KINDS
def test_a_condition_raises_one_alert_while_it_lasts_and_another_in_its_next_episode(kind: type[Message]) -> None:
    desk = Desk()
    begins, ends, severity = CONDITIONS[kind]
    assert desk.hear(kind, **ends) == []
    (alert,) = desk.hear(kind, **begins)
    assert (alert.severity, alert.book, alert.escalation) == (severity, "fx", 0)
    assert alert.summary
    assert desk.hear(kind, **begins) == []
    assert desk.hear(kind, **ends) == []
    desk.minutes(1)
    (again,) = desk.hear(kind, **begins)
    assert again.alert_id != alert.alert_id


@pytest.mark.req("RSK-12")
@KINDS
def test_every_run_book_exists_and_says_the_four_things(kind: type[Message]) -> None:
    (alert,) = Desk().hear(kind, **CONDITIONS[kind][0])
    check_runbook(alert.runbook)


@pytest.mark.req("RSK-12", "RSK-08")
@pytest.mark.parametrize("metric", METRICS)
def test_every_level_of_every_ladder_has_a_run_book(metric: str) -> None:
    rungs = tuple(Level(trigger=0.1 * n, release=0.01) for n in range(1, LADDER_RUNBOOKS[metric] + 3))
    alarms = Alarms(AlertSettings(), Ladders(**{metric: rungs}))
    assert LADDER_RUNBOOKS[metric] >= len(getattr(Ladders(), metric))
    for level in range(1, len(rungs) + 1):
        changed = a(LadderChanged, ladder=metric, level=level, previous=level - 1)
        (alert,) = alarms.about(changed, State(ts=T0))
        check_runbook(alert.runbook)


def check_runbook(name: str) -> None:
    text = (RUNBOOKS / name).read_text()
    for heading in ("## What it means", "## What the system has done", "## Where to look", "## How to end it"):
        assert heading in text, f"{name}: {heading}"
    assert "`ballast " in text


@pytest.mark.req("RSK-12")
def test_no_run_book_is_left_over() -> None:
    shipped = {path.name for path in RUNBOOKS.glob("*.md")}
    ladders = {f"ladder-{metric}-{n}.md" for metric, most in LADDER_RUNBOOKS.items() for n in range(1, most + 1)}
    named = {alert.runbook for kind in RULES for alert in Desk().hear(kind, **CONDITIONS[kind][0])}
    assert {name for name in shipped if name.startswith("ladder-")} == ladders
    assert named - ladders <= shipped


@pytest.mark.req("RSK-12")
def test_a_critical_alert_nobody_acknowledges_is_said_again_every_five_minutes_three_times() -> None:
    desk = Desk()
    (alert,) = desk.hear(TradingStateChanged, state=HALTED)
    assert desk.minutes(4.9) == []
    said = [again.escalation for _ in range(100) for again in desk.minutes(1)]
    assert said == [1, 2, 3]
    assert desk.acknowledge(alert.alert_id)[0].author == "me"


@pytest.mark.req("RSK-12")
def test_an_acknowledged_alert_is_silent_and_an_unknown_id_is_not_answered() -> None:
    desk = Desk()
    (alert,) = desk.hear(TradingStateChanged, state=HALTED)
    assert [each.alert_id for each in desk.acknowledge(alert.alert_id)] == [alert.alert_id]
    assert desk.acknowledge(alert.alert_id) == desk.acknowledge("nobody knows it") == []
    assert desk.minutes(60) == []


@pytest.mark.req("RSK-12")
def test_what_is_over_or_no_emergency_does_not_escalate() -> None:
    desk = Desk()
    desk.hear(VenueHealth, usable=False)
    (alert,) = desk.hear(TradingStateChanged, state=HALTED)
    desk.hear(TradingStateChanged, state=ACTIVE)
    assert desk.minutes(60) == []
    assert len(desk.acknowledge(alert.alert_id)) == 1


@pytest.mark.req("RSK-12")
def test_a_ladder_that_comes_down_ends_the_alerts_of_its_higher_levels_only() -> None:
    desk = Desk()
    for level in (1, 2):
        desk.hear(LadderChanged, ladder="drawdown", level=level, previous=level - 1)
    desk.hear(LadderChanged, ladder="drawdown", level=1, previous=2)
    assert list(desk.state.alerts.standing) == ["ladder-drawdown-1"]


@pytest.mark.req("RSK-12")
@given(st.lists(st.tuples(st.integers(0, 3 * KEPT), st.booleans()), max_size=400))
def test_a_flood_of_warnings_forgets_no_emergency(flood: list[tuple[int, bool]]) -> None:
    desk = Desk()
    (alert,) = desk.hear(TradingStateChanged, state=HALTED)
    for number, begins in flood:
        desk.hear(FeatureChanged, feature=str(number), enabled=not begins)
    assert len(desk.state.alerts.unacknowledged) <= KEPT
    assert alert.alert_id in desk.state.alerts.unacknowledged
    assert [each.alert_id for each in desk.minutes(5)] == [alert.alert_id]


@pytest.mark.req("RSK-12")
def test_the_guardian_raises_escalates_and_acknowledges_at_the_markets_time(guard: Any) -> None:
    guardian = guard()
    guardian.tell(a(HaltScope, halted=True, ts_event=10**19))
    guardian.halt(ts_event=10**19)
    guardian.hour(eur=1.1)
    warning, critical, again = [each for each in guardian.noted if isinstance(each, AlertRaised)]
    assert (warning.severity, critical.severity, again.escalation) == (Severity.WARNING, Severity.CRITICAL, 1)
    assert (critical.ts_event, again.ts_event) == (guardian.ts - 3_600 * 10**9, guardian.ts)
    (answer,) = guardian.tell(a(AcknowledgeAlert, alert_id=critical.alert_id, author="me"))
    assert (answer.alert_id, answer.author, answer.ts_event) == (critical.alert_id, "me", guardian.ts)
    assert guardian.hour(eur=1.1) == []
    assert guardian.noted[-1] is again
