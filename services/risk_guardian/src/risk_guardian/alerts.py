"""Alerts (RSK-12): which messages a person should know of, how bad they are, and which run-book helps.

An alert stands for a condition that lasts, its topic. It is raised when the condition begins, and not again until that is over.
A critical one that nobody acknowledges is said again while its condition lasts, a few times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from common.messages.base import Message
from common.messages.control import FeatureChanged
from common.messages.orders import BreakKind, ReconciliationBreak, VenueHealth
from common.messages.risk import (
    AcknowledgeAlert,
    AlertAcknowledged,
    AlertRaised,
    LadderChanged,
    RiskMeasured,
    ScopeHalted,
    StressTested,
    TradingStateChanged,
)
from common.model.enums import Severity, TradingState
from common.model.time import NS_PER_SECOND, to_datetime
from risk_guardian.policy import Ladders
from risk_guardian.state import Alert, Alerts, State

KEPT: Final = 200
NOT_IN_IDS: Final = re.compile(r"[^\w.:-]+")
STANDING_KEPT: Final = 2_000
LADDER_RUNBOOKS: Final = {  # levels that have a run-book of their own; higher ones share the last
    "drawdown": 4,
    "volatility": 2,
    "var": 2,
    "correlation": 1,
    "daily_loss": 1,
    "connection": 2,
    "stress": 1,
}
MOST_SEVERE_LAST: Final = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)
DISTRUST: Final = 0.05  # a VaR whose breaches are this unlikely is refuted


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    escalate_after_s: Annotated[
        float, msgspec.Meta(gt=0, description="seconds of data time after which a critical alert is said again")
    ] = 300.0
    max_escalations: Annotated[int, msgspec.Meta(ge=0, le=100, description="how often it is said again")] = 3


class Condition(NamedTuple):
    """Something that begins (`holds`) or is over. The rest is for the beginning."""

    topic: str
    holds: bool
    severity: Severity = Severity.WARNING
    summary: str = ""
    runbook: str = ""


Rule = Callable[[Any, Ladders], Iterator[Condition]]


def _ladder(message: LadderChanged, ladders: Ladders) -> Iterator[Condition]:
    name, levels = message.ladder, getattr(ladders, message.ladder)
    for level in range(message.level + 1, len(levels) + 1):
        yield Condition(f"ladder-{name}-{level}", holds=False)
    if message.level > message.previous:
        did = "; ".join(message.actions)
        yield Condition(
            f"ladder-{name}-{message.level}",
            True,
            levels[message.level - 1].severity,
            f"{name} {message.observed:.4g} above {message.threshold:g}: level {message.level}: {did}",
            f"ladder-{name}-{min(message.level, LADDER_RUNBOOKS[name])}.md",
        )


def _trading(message: TradingStateChanged, _: Ladders) -> Iterator[Condition]:
    halted = message.state is TradingState.HALTED
    summary = f"trading halted by {message.author}: {message.reason}"
    yield Condition("halted", halted, Severity.CRITICAL, summary, "halted.md")


def _scope(message: ScopeHalted, _: Ladders) -> Iterator[Condition]:
    what = " in ".join(filter(None, (message.strategy_id, message.instrument_id))) or "everything"
    summary = f"{what} takes no new risk: {message.reason} ({message.author})"
    yield Condition(
        f"scope-{message.strategy_id}-{message.instrument_id}",
        message.halted,
        Severity.WARNING,
        summary,
        "scope-halted.md",
    )


def _break(message: ReconciliationBreak, _: Ladders) -> Iterator[Condition]:
    money = message.kind in (BreakKind.POSITION, BreakKind.CASH)
    severity = Severity.CRITICAL if money else Severity.WARNING
    summary = f"{message.kind} {message.instrument_id}: ours {message.ours:f}, the venue's {message.venue:f}; {message.action}"
    yield Condition(f"break-{message.break_id}", message.open, severity, summary, "reconciliation-break.md")


def _venue(message: VenueHealth, _: Ladders) -> Iterator[Condition]:
    summary = f"{message.venue} is not usable after {message.failures} failures: {message.reason}"
    yield Condition(f"venue-{message.venue}", not message.usable, Severity.WARNING, summary, "venue-unusable.md")


def _feature(message: FeatureChanged, _: Ladders) -> Iterator[Condition]:
    summary = f"{message.service} trades on without {message.feature}: {message.reason}"
    topic = f"feature-{message.service}-{message.feature}"
    yield Condition(topic, not message.enabled, Severity.WARNING, summary, "feature-disabled.md")


def _stress(message: StressTested, _: Ladders) -> Iterator[Condition]:
    for result in message.results:
        limit = "" if result.limit is None else f", limit {result.limit:.1%}"
        summary = f"{result.scenario} would cost {result.loss:.1%} of the equity{limit}"
        yield Condition(f"stress-{result.scenario}", result.breached, Severity.WARNING, summary, "stress-limit.md")


def _measured(message: RiskMeasured, _: Ladders) -> Iterator[Condition]:
    """Too many breaches, not too few: a careful VaR is no alarm."""
    days, breaches, chance = message.var_days, message.var_breaches, message.kupiec_p
    refuted = chance is not None and chance < DISTRUST and breaches > 0.05 * days
    summary = f"VaR was breached on {breaches} of {days} days, which chance gives in {chance or 0:.1%} of cases"
    yield Condition("var-backtest", refuted, Severity.WARNING, summary, "var-backtest.md")


RULES: Final[dict[type[Message], Rule]] = {
    LadderChanged: _ladder,
    TradingStateChanged: _trading,
    ScopeHalted: _scope,
    ReconciliationBreak: _break,
    VenueHealth: _venue,
    FeatureChanged: _feature,
    StressTested: _stress,
    RiskMeasured: _measured,
}


class Alarms:
    """Keeps what is open in the state it is given."""

    def __init__(self, settings: AlertSettings, ladders: Ladders) -> None:
        self._wait_ns = int(settings.escalate_after_s * NS_PER_SECOND)
        self._most = settings.max_escalations
        self._ladders = ladders

    def about(self, message: Message, state: State) -> Iterator[AlertRaised]:
        """What the message begins, as alerts; what it ends is over."""
        rule, standing = RULES.get(type(message)), state.alerts.standing
        for condition in rule(message, self._ladders) if rule else ():
            if not condition.holds:
                standing.pop(condition.topic, None)
            elif condition.topic not in standing:
                yield self._raise(condition, state)

    def escalate(self, state: State) -> Iterator[AlertRaised]:
        """Critical alerts that nobody has acknowledged in time, while their condition lasts."""
        alerts = state.alerts
        if not alerts.due_ns or state.ts < alerts.due_ns:
            return
        waiting = []
        for alert_id, alert in alerts.unacknowledged.items():
            if not self._may_escalate(alerts, alert_id, alert):
                continue
            if state.ts >= alert.said_ns + self._wait_ns:
                alert.escalation, alert.said_ns = alert.escalation + 1, state.ts
                yield _said(alert_id, alert, state)
            waiting.append(alert.said_ns + self._wait_ns)
        alerts.due_ns = min(waiting, default=0)

    def acknowledge(self, message: AcknowledgeAlert, state: State) -> Iterator[AlertAcknowledged]:
        """Answers for alerts that are known and open."""
        if state.alerts.unacknowledged.pop(message.alert_id, None) is not None:
            yield AlertAcknowledged(
                ts_event=state.ts, book=state.book, alert_id=message.alert_id, author=message.author
            )

    def _may_escalate(self, alerts: Alerts, alert_id: str, alert: Alert) -> bool:
        lasts = alerts.standing.get(alert.topic) == alert_id
        return lasts and alert.severity is Severity.CRITICAL and alert.escalation < self._most

    def _raise(self, condition: Condition, state: State) -> AlertRaised:
        alerts, alert_id = state.alerts, _id(condition.topic, state.ts)
        alert = Alert(
            topic=condition.topic,
            severity=condition.severity,
            summary=condition.summary,
            runbook=condition.runbook,
            said_ns=state.ts,
        )
        alerts.standing[condition.topic] = alert_id
        alerts.unacknowledged[alert_id] = alert
        if condition.severity is Severity.CRITICAL:
            alerts.due_ns = alerts.due_ns or state.ts + self._wait_ns  # those before are due sooner
        _bound(alerts)
        return _said(alert_id, alert, state)


def _id(topic: str, ts: int) -> str:
    """Fit for a path of the API."""
    return f"{NOT_IN_IDS.sub('-', topic)[:150]}-{to_datetime(ts):%Y%m%dT%H%M%S}"


def _bound(alerts: Alerts) -> None:
    """The oldest of the least severe goes first."""
    if len(alerts.standing) > STANDING_KEPT:
        del alerts.standing[next(iter(alerts.standing))]
    if len(alerts.unacknowledged) > KEPT:
        open_alerts = alerts.unacknowledged
        del open_alerts[min(open_alerts, key=lambda name: MOST_SEVERE_LAST.index(open_alerts[name].severity))]


def _said(alert_id: str, alert: Alert, state: State) -> AlertRaised:
    return AlertRaised(
        ts_event=state.ts,
        book=state.book,
        alert_id=alert_id,
        severity=alert.severity,
        summary=alert.summary,
        runbook=alert.runbook,
        escalation=alert.escalation,
    )
