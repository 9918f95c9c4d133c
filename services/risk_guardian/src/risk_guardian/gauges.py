"""What only the guardian's state tells of how things are: for the shell, never for the core."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from common.model.account import Account
from common.model.enums import Severity
from common.model.money import ZERO, Conversion
from common.runtime import metrics
from risk_guardian.limits import Limits
from risk_guardian.policy import METRICS
from risk_guardian.settings import Settings
from risk_guardian.state import State

# Limits that are fractions of equity, by the name a person would look for.
FRACTIONS: Final = {
    name: name.removeprefix("max_").removesuffix("_95_1d")
    for name in (
        "max_order_notional",
        "max_position",
        "max_gross_exposure",
        "max_net_exposure",
        "max_leverage",
        "max_deployed",
        "max_currency",
        "max_strategy_type",
        "max_sector",
        "max_correlated",
        "max_var_95_1d",
        "max_es_95_1d",
        "max_stress_loss",
        "max_heat",
        "max_daily_loss",
        "max_drawdown",
    )
}
LADDERS: Final = ("drawdown", "var", "daily_loss", "stress")  # those that watch a fraction of equity


class Gauges:
    """Of one session; alerts are as old as this has known them."""

    def __init__(self, settings: Settings, account: Account) -> None:
        self._settings = settings
        self._account = account
        self._known: dict[str, float] = {}

    def observe(self, state: State, now_s: float) -> None:
        """Reads the state between two messages. `now_s` is the wall clock, unix seconds."""
        for name, limit in limits(self._settings):
            metrics.LIMIT.labels(name).set(limit)
        for name in METRICS:
            ladder = state.ladders.get(name)
            metrics.LADDER_LEVEL.labels(name).set(ladder.level if ladder else 0)
        metrics.SCOPES_HALTED.set(len(state.flow.scopes))
        self._alerts(state, now_s)
        self._exposures(state)

    def _alerts(self, state: State, now_s: float) -> None:
        """Those that wait for a person: not acknowledged, and what they are about is not over."""
        alerts = state.alerts
        waiting = {
            alert_id: alert
            for alert_id, alert in alerts.unacknowledged.items()
            if alerts.standing.get(alert.topic) == alert_id
        }
        self._known = {alert_id: self._known.get(alert_id, now_s) for alert_id in waiting}
        for severity in Severity:
            since = [self._known[alert_id] for alert_id, alert in waiting.items() if alert.severity is severity]
            metrics.ALERTS_OPEN.labels(severity).set(len(since))
            if since:
                metrics.OLDEST_ALERT.labels(severity).set(min(since))
            else:
                metrics.OLDEST_ALERT.remove(severity)

    def _exposures(self, state: State) -> None:
        conversion = Conversion(self._account.currency, state.instruments.values())
        for instrument_id, position in state.ledger.positions.items():
            value = ZERO
            if position.signed_qty:
                px = state.last_px.get(instrument_id)
                rate = conversion.rate(state.instruments[instrument_id].quote, state.last_px)
                if px is None or rate is None or not state.equity:
                    metrics.POSITION_EXPOSURE.labels(instrument_id).set(math.nan)
                    continue
                value = position.signed_qty * px * rate / state.equity
            metrics.POSITION_EXPOSURE.labels(instrument_id).set(float(value))


def limits(settings: Settings) -> Iterator[tuple[str, float]]:
    """Those that are on, as fractions of equity; of a ladder what its first level begins at."""
    of: Limits = settings.limits
    for field, name in FRACTIONS.items():
        if limit := getattr(of, field):
            yield name, limit
    for name in LADDERS:
        if levels := getattr(settings.ladders, name):
            yield f"{name}_ladder", levels[0].trigger
