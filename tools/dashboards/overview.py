"""Where everybody begins: is it safe, does it keep its promises, what does it do, who does not work."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard
from tools.dashboards import board
from tools.dashboards.board import Row, to_board, to_service, to_traces
from tools.dashboards.panels import (
    GREEN,
    ORANGE,
    RED,
    Series,
    above,
    chart,
    configured,
    limit,
    number,
    per_minute,
    red_from,
    timeline,
)

TRADING_STATES = {0: ("ACTIVE", GREEN), 1: ("REDUCING", ORANGE), 2: ("HALTED", RED)}
TRADING_STATE = 'max(ballast_trading_state{state="REDUCING"}) + 2 * max(ballast_trading_state{state="HALTED"})'


def overview() -> Dashboard:
    rows = (_safe(), _promises(), _doing(), _services())
    return board.board(board.OVERVIEW, "Ballast / Overview", "The first look: safe, on time, trading, complete.", rows)


def _safe() -> Row:
    to_risk, to_services = (to_board(board.RISK, "Risk"),), (to_board(board.SERVICES, "Services"),)
    return Row(
        "Is it safe?",
        (
            number(
                "Trading state",
                units.NoUnit,
                "What may be traded now. REDUCING or HALTED: read the reason in the alerts of `ballast status`, then follow "
                "docs/runbooks/halted.md; resume only when the cause is gone.",
                Series(TRADING_STATE, "state"),
                states=TRADING_STATES,
                links=to_risk,
            ),
            number(
                "Drawdown",
                units.PercentUnit,
                "Fallen from the peak of the equity. Colors are the default ladder's first two levels; when it turns red see "
                "docs/runbooks/ladder-drawdown-2.md.",
                Series("max(ballast_drawdown_ratio)", "drawdown"),
                bound=above(0.05, 0.1),
                links=to_risk,
            ),
            number(
                "Critical alerts, not acknowledged",
                units.NoUnit,
                "The guardian waits for a person. Read them with `ballast status`, do what their run-book says, then `ballast "
                "acknowledge`: after five minutes they escalate.",
                Series('max(ballast_alerts_unacknowledged{severity="CRITICAL"})', "alerts"),
                bound=red_from(1),
                links=to_risk,
            ),
            number(
                "Alerts of Prometheus",
                units.NoUnit,
                "Alerts that fire now, the watchdog not counted. Open Prometheus or Alertmanager and follow the run-book that each "
                "alert names.",
                Series('count(ALERTS{alertstate="firing", alertname!="Watchdog"}) or vector(0)', "firing"),
                bound=above(1, 5),
            ),
            number(
                "Services that do not serve",
                units.NoUnit,
                "Not reachable, not ready, or without a leader. See below which one it is, then what it waits for: its "
                "/health/ready says so.",
                Series("count(service:ballast_serving:bool) - sum(service:ballast_serving:bool)", "services"),
                bound=red_from(1),
                links=to_services,
            ),
            number(
                "Steps",
                units.NoUnit,
                "Stalled: a slice is ten seconds old and its step is not closed, so no new order goes out. Look for the service "
                "whose messages lag below and restart it.",
                Series("system:ballast_step_stalled:bool", "steps"),
                states={0: ("moving", GREEN), 1: ("stalled", RED)},
                links=to_services,
            ),
        ),
    )


def _promises() -> Row:
    return Row(
        "Does it keep its promises?",
        (
            chart(
                "Error budgets burned",
                units.NoUnit,
                "How many times faster than allowed the last hour spent the budget of thirty days. Above the limit somebody is "
                "called: find the cause with the panels beside this one.",
                Series("slo:ballast_errors:ratio1h / on (slo) slo:budget:ratio", "{{slo}}"),
                limit("vector(14.4)", "of an hour"),
                bound=above(6, 14.4),
                width=6,
            ),
            chart(
                "Time of a step",
                units.Seconds,
                "From a slice said until the guardian closed its step; 99.5 % must take less than the limit. Slow: compare the hops "
                "of the services, the slowest one is the cause.",
                Series("system:ballast_step_seconds:p50_rate5m", "half of them below"),
                Series("system:ballast_step_seconds:p99_rate5m", "99 % below"),
                limit("vector(1)"),
                bound=above(0.5, 1),
                links=(to_board(board.SERVICES, "Services"), to_traces("risk_guardian")),
                width=6,
            ),
            chart(
                "Tick to order",
                units.Seconds,
                "From a slice said until its order was given to the venue, 99 % of them. Above the limit: see whether execution "
                "waits for PostgreSQL, or a service before it is slow.",
                Series("system:ballast_tick_to_order_seconds:p99_rate5m", "99 % below"),
                limit("vector(0.05)"),
                bound=above(0.05, 0.25),
                links=(to_board(board.EXECUTION, "Execution"), to_traces("execution")),
                width=6,
            ),
            chart(
                "Answers of the gateway",
                units.Seconds,
                "99 % of the answers take less than this; half a second is promised. Slow: see which route it is, and whether "
                "PostgreSQL has enough connections left.",
                Series("service:ballast_http_request_seconds:p99_rate5m", "{{service}}"),
                limit("vector(0.5)"),
                bound=above(0.25, 0.5),
                links=(to_service(), to_traces()),
                width=6,
            ),
        ),
    )


def _doing() -> Row:
    return Row(
        "What does it do?",
        (
            chart(
                "Equity",
                units.Short,
                "In the money of the account; a gap is a position without a price. Falls faster than markets explain: `ballast halt`, "
                "then compare with the venue's account.",
                Series("max by (book) (ballast_equity)", "{{book}}"),
                links=(to_board(board.TRADING, "Trading"),),
            ),
            chart(
                "Exposure",
                units.PercentUnit,
                "All positions without their signs, as a fraction of equity. At the limit new orders are cut or denied: reduce, or "
                "raise the limit on purpose.",
                Series("max by (book) (ballast_gross_exposure_ratio)", "{{book}}"),
                configured("gross_exposure"),
                links=(to_board(board.RISK, "Risk"),),
            ),
            chart(
                "Orders a minute",
                units.NoUnit,
                "On their way from proposed to filled. Proposed but not approved: see denials by code on the risk dashboard; approved "
                "but not filled: see execution.",
                Series(per_minute("ballast_orders_proposed_total"), "proposed"),
                Series(per_minute("ballast_orders_approved_total"), "approved"),
                Series(per_minute("ballast_orders_denied_total"), "denied"),
                Series(per_minute("ballast_fills_total"), "fills"),
                links=(to_board(board.TRADING, "Trading"),),
            ),
        ),
    )


def _services() -> Row:
    links = (to_service(), to_traces())
    return Row(
        "Who does not work?",
        (
            timeline(
                "Serving",
                "Ready, and leader where there is a lease. Red: open the service, look at what its /health/ready waits for and at "
                "its last log lines.",
                Series("service:ballast_serving:bool", "{{service}}"),
                links=links,
            ),
            chart(
                "Behind the tape",
                units.NoUnit,
                "Messages on the tape that a service has not read. Grows and does not fall: the service is too slow or stuck; see "
                "its processor time, then restart it.",
                Series('max by (service) (ballast_tape_lag_messages{job="ballast"})', "{{service}}"),
                bound=above(100, 1000),
                links=links,
            ),
            chart(
                "Messages handled",
                units.MessagesPerSecond,
                "Traffic of each service. One line at zero while the others move: that service is stuck or cut off from NATS.",
                Series("service:ballast_messages_handled:rate5m", "{{service}}"),
                links=links,
            ),
        ),
    )
