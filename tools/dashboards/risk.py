"""What the guardian sees, how close it is to its limits, and what it decided."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard
from tools.dashboards import board
from tools.dashboards.board import Row, to_board, to_traces
from tools.dashboards.overview import TRADING_STATE, TRADING_STATES
from tools.dashboards.panels import (
    GREEN,
    ORANGE,
    RED,
    Series,
    above,
    age,
    chart,
    configured,
    limit,
    number,
    per_minute,
    timeline,
)

LEVELS = {0: ("none", GREEN), 1: ("level 1", ORANGE), 2: ("level 2", RED), 3: ("level 3", RED), 4: ("level 4", RED)}


def risk() -> Dashboard:
    rows = (_state(), _limits(), _decisions())
    return board.board(board.RISK, "Ballast / Risk", "State, use of every limit, decisions of the guardian.", rows)


def _state() -> Row:
    return Row(
        "State",
        (
            timeline(
                "Trading state",
                "REDUCING takes no new risk, HALTED takes no orders at all. Find the reason in the alerts, follow "
                "docs/runbooks/halted.md; `ballast resume` only when the cause is gone.",
                Series(TRADING_STATE, "state"),
                states=TRADING_STATES,
            ),
            timeline(
                "Ladders",
                "Level at which each ladder stands. Above none it cuts positions or stops trading by itself; the run-book is named "
                "after ladder and level, as docs/runbooks/ladder-var-1.md.",
                Series("max by (ladder) (ballast_ladder_level)", "{{ladder}}"),
                states=LEVELS,
            ),
            number(
                "Scopes halted",
                units.NoUnit,
                "Strategies or instruments that take no new risk: stopped by a person or after repeated losses. See "
                "docs/runbooks/scope-halted.md before lifting one.",
                Series("max(ballast_scopes_halted)", "scopes"),
                bound=above(1, 3),
            ),
            number(
                "Heartbeat of the guardian",
                units.Seconds,
                "Since execution last heard the guardian. Execution stops by itself after two seconds of silence: restart the "
                "guardian, look whether its standby took over.",
                Series("max(ballast_guardian_heartbeat_age_seconds)", "age"),
                bound=above(1, 2),
                links=(to_board(board.EXECUTION, "Execution"),),
            ),
        ),
    )


def _limits() -> Row:
    return Row(
        "Use of limits, as fractions of equity",
        (
            chart(
                "Gross exposure",
                units.PercentUnit,
                "All positions without their signs. At the limit, orders are cut or denied: close what matters least, or raise "
                "max_gross_exposure on purpose.",
                Series("max by (book) (ballast_gross_exposure_ratio)", "{{book}}"),
                configured("gross_exposure"),
            ),
            chart(
                "Value at risk and expected shortfall",
                units.PercentUnit,
                "Of one day at 95 %, positive is a loss. Near a limit: the var ladder will cut; see docs/runbooks/ladder-var-1.md. "
                "Missing: too little history yet.",
                Series("max by (book) (ballast_var_ratio)", "{{book}} VaR"),
                Series("max by (book) (ballast_expected_shortfall_ratio)", "{{book}} ES"),
                configured("var_ladder", "VaR, first rung"),
                configured("var", "VaR of new risk"),
                configured("es", "ES of new risk"),
            ),
            chart(
                "Heat",
                units.PercentUnit,
                "What is lost if every stop is hit. At the limit no new position fits: wait until stops have followed prices, or "
                "reduce.",
                Series("max by (book) (ballast_heat_ratio)", "{{book}}"),
                configured("heat"),
            ),
            chart(
                "Drawdown",
                units.PercentUnit,
                "Fallen from the peak of equity. Each rung of the ladder acts by itself; docs/runbooks/ladder-drawdown-1.md and on "
                "say what a person adds.",
                Series("max by (book) (ballast_drawdown_ratio)", "{{book}}"),
                configured("drawdown_ladder", "first rung"),
                configured("drawdown", "of new risk"),
                bound=above(0.05, 0.1),
            ),
            chart(
                "Positions",
                units.PercentUnit,
                "Each instrument, long above zero. Near its limit it grows no further; past it, prices moved: reduce it by hand with "
                "`ballast order`.",
                Series("max by (instrument) (ballast_position_exposure_ratio)", "{{instrument}}"),
                configured("position", "long"),
                limit('-max(ballast_limit_ratio{limit="position"})', "short"),
            ),
            chart(
                "Stress losses",
                units.PercentUnit,
                "What each scenario would cost, as last tested. Above the limit: docs/runbooks/stress-limit.md names the positions "
                "to cut first.",
                Series("max by (scenario) (ballast_stress_loss_ratio)", "{{scenario}}"),
                configured("stress_loss", "of new risk"),
            ),
        ),
    )


def _decisions() -> Row:
    traces = (to_traces("risk_guardian"),)
    return Row(
        "Decisions and alerts",
        (
            chart(
                "Orders approved and denied, a minute",
                units.NoUnit,
                "Both lines at zero while strategies propose: the guardian does not get its steps. More denied than approved: read "
                "the codes beside.",
                Series(per_minute("ballast_orders_approved_total"), "approved"),
                Series(per_minute("ballast_orders_denied_total"), "denied"),
                links=traces,
                width=6,
            ),
            chart(
                "Denials a second, by code",
                units.NoUnit,
                "Which control said no, the guardian's and execution's own. The code is the limit's name: see it with `ballast config "
                "show` before you change it.",
                Series("code:ballast_orders_denied:rate5m > 0", "{{code}}"),
                links=traces,
                stacked=True,
                width=6,
            ),
            chart(
                "Alerts raised a minute, by run-book",
                units.NoUnit,
                "Alerts that the guardian itself raised. The name is that of the run-book in docs/runbooks; do what it says, then "
                "acknowledge.",
                Series(per_minute("ballast_alerts_raised_total", "code", "severity"), "{{severity}} {{code}}"),
                stacked=True,
                width=6,
            ),
            chart(
                "Alerts nobody has acknowledged",
                units.NoUnit,
                "By severity. Critical ones escalate after five minutes: `ballast status` lists them, `ballast acknowledge` says that "
                "you have taken over.",
                Series("max by (severity) (ballast_alerts_unacknowledged)", "{{severity}}"),
                width=6,
            ),
            chart(
                "Age of the oldest alert",
                units.Seconds,
                "Not acknowledged since then. Over the limit a critical one has escalated to the second receiver: find out who is "
                "on duty.",
                Series(age("ballast_alert_oldest_unacknowledged_timestamp_seconds", "severity"), "{{severity}}"),
                limit("vector(300)", "of a critical one"),
                bound=above(240, 300),
                width=12,
            ),
        ),
    )
