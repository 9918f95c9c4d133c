"""Risk: what the guardian measured, decided and raised."""

from __future__ import annotations

from typing import Final

import msgspec

from common import messages as m
from common.messages.base import Envelope, Message
from recorder.rows import Row, Rule, Write, values, whole

RISK: Final = (
    *("book", "step", "trading_state", "equity", "peak_equity", "drawdown", "gross_exposure", "exposure_factor"),
    *("stop_factor", "approved", "denied", "min_confidence", "var_95_1d", "heat"),
)
MEASURED: Final = (
    *("book", "step", "heat", "concentration", "liquidity_days", "var_breaches", "var_days", "kupiec_p"),
    "christoffersen_p",
)
TABLES_OF_NUMBERS: Final = ("var", "es", "component_var", "marginal_var", "by_currency", "by_sector", "by_strategy")
SCENARIO: Final = ("scenario", "loss", "limit", "breached")
BREAK: Final = ("book", "break_id", "kind", "instrument_id", "ours", "venue", "open", "action")

PARAMETERS: Final = (
    *("book", "profile", "change_id", "plan", "action", "step", "steps", "author", "reason", "evidence"),
)


def _measured(seq: int, envelope: Envelope, message: m.RiskMeasured) -> list[Write]:
    numbers = (msgspec.json.encode(getattr(message, name)).decode() for name in TABLES_OF_NUMBERS)
    return [Write("risk_measures", (seq, message.ts_event, *values(message, MEASURED), *numbers))]


def _stressed(seq: int, envelope: Envelope, message: m.StressTested) -> list[Write]:
    return [
        Write(
            "stress_results",
            (
                *(seq, item, message.ts_event, message.step, message.asked_by, *values(result, SCENARIO)),
                msgspec.json.encode(result.by_instrument).decode(),
            ),
        )
        for item, result in enumerate(message.results)
    ]


# --- alerts: what the guardian raises, and what it cannot know ---------------------------------------------------
def _raised(seq: int, envelope: Envelope, message: m.AlertRaised) -> list[Write]:
    again = f" (said again, {message.escalation})" if message.escalation else ""
    title = f"{message.summary}{again}"
    return [
        _alert(seq, message, message.severity.lower(), title, f"{message.alert_id}: docs/runbooks/{message.runbook}")
    ]


def _acknowledged(seq: int, envelope: Envelope, message: m.AlertAcknowledged) -> list[Write]:
    return [_alert(seq, message, "info", f"{message.author} takes care of {message.alert_id}", "")]


def _state_alert(seq: int, envelope: Envelope, message: m.TradingStateChanged) -> list[Write]:
    severity = "info" if message.state == "ACTIVE" else "critical" if message.state == "HALTED" else "warning"
    title = f"Trading is {message.state}"
    return [_alert(seq, message, severity, title, f"{message.reason} (by {message.author}; was {message.previous})")]


def _ladder_alert(seq: int, envelope: Envelope, message: m.LadderChanged) -> list[Write]:
    title = f"Ladder {message.ladder}: level {message.previous} to {message.level}"
    detail = f"{message.observed:.4g} against {message.threshold:.4g}; {', '.join(message.actions) or 'released'}"
    return [_alert(seq, message, "warning" if message.level > message.previous else "info", title, detail)]


def _guardian_alert(seq: int, envelope: Envelope, message: m.GuardianLost) -> list[Write]:
    detail = f"no sign of life for {message.silent_s:g} s: orders that add risk are canceled"
    return [_alert(seq, message, "critical", "The risk guardian is silent", detail)]


def _intent_alert(seq: int, envelope: Envelope, message: m.IntentFailed) -> list[Write]:
    return [
        _alert(seq, message, "warning", f"Order {message.client_order_id} not sent: {message.code}", message.detail)
    ]


def _scope_alert(seq: int, envelope: Envelope, message: m.ScopeHalted) -> list[Write]:
    scope = " in ".join(filter(None, (message.strategy_id, message.instrument_id)))
    title = f"{scope} {'takes no new risk' if message.halted else 'trades again'}"
    return [
        _alert(seq, message, "warning" if message.halted else "info", title, f"{message.reason} (by {message.author})")
    ]


def _feature_alert(seq: int, envelope: Envelope, message: m.FeatureChanged) -> list[Write]:
    title = f"{message.service}: {message.feature} is {'on again' if message.enabled else 'off'}"
    return [_alert(seq, message, "info" if message.enabled else "warning", title, message.reason)]


def _venue_alert(seq: int, envelope: Envelope, message: m.VenueHealth) -> list[Write]:
    title = f"Venue {message.venue} is {'usable' if message.usable else 'not usable'}"
    return [_alert(seq, message, "info" if message.usable else "critical", title, message.reason)]


def _lease_alert(seq: int, envelope: Envelope, message: m.LeaseTaken) -> list[Write]:
    title = f"{message.service} {message.instance} leads"
    return [_alert(seq, message, "info", title, f"token {message.token}")]


def _parameters_alert(seq: int, envelope: Envelope, message: m.ParametersChanged) -> list[Write]:
    """Only what nobody may have planned; steps are in the history."""
    if message.action not in ("rollback", "reset"):
        return []
    title = f"Parameters: {message.action} {message.plan}".rstrip()
    keys = ", ".join(moved.key for moved in message.moved) or "nothing was in force"
    return [_alert(seq, message, "warning", title, f"{message.reason} (by {message.author}): {keys}")]


def _parameters(seq: int, envelope: Envelope, message: m.ParametersChanged) -> list[Write]:
    """A row for each key; one without a key where nothing in force has changed."""
    said = (message.ts_event, envelope.ts_init, *values(message, PARAMETERS))
    moved: list[Row] = [(each.key, each.before, each.after) for each in message.moved]
    rows = moved or [(None, None, None)]
    return [Write("parameter_history", (seq, item, *said, *keys)) for item, keys in enumerate(rows)]


def _alert(seq: int, message: Message, severity: str, title: str, detail: str) -> Write:
    return Write("alerts", (seq, message.ts_event, message.TYPE, severity, title, detail))


RULES: Final[dict[type[Message], tuple[Rule, ...]]] = {
    m.RiskStep: (whole("portfolio_risk_metrics", RISK),),
    m.RiskMeasured: (_measured,),
    m.StressTested: (_stressed,),
    m.ReconciliationBreak: (whole("reconciliation_breaks", BREAK),),
    m.AlertRaised: (_raised,),
    m.AlertAcknowledged: (_acknowledged,),
    m.IntentFailed: (_intent_alert,),
    m.GuardianLost: (_guardian_alert,),
    m.TradingStateChanged: (_state_alert,),
    m.LadderChanged: (_ladder_alert,),
    m.ScopeHalted: (_scope_alert,),
    m.FeatureChanged: (_feature_alert,),
    m.VenueHealth: (_venue_alert,),
    m.LeaseTaken: (_lease_alert,),
    m.ParametersChanged: (_parameters, _parameters_alert),
}
