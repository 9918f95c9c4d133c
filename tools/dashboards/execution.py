"""The venue, the orders on their way, what they cost in time and price, and whether both books agree."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard
from tools.dashboards import board
from tools.dashboards.board import Row, to_board, to_instance, to_traces
from tools.dashboards.panels import Series, above, age, chart, limit, number, per_minute, quantile, rate, timeline

TRACES = (to_traces("execution"),)


def execution() -> Dashboard:
    return board.board(
        board.EXECUTION,
        "Ballast / Execution",
        "The venue, orders on their way, slippage and costs, and whether both books agree.",
        (_venue(), _orders(), _books()),
    )


def _venue() -> Row:
    return Row(
        "Venue and lease",
        (
            timeline(
                "Venue takes new risk",
                "No: the connection or its answers are broken, only exits pass. Follow docs/runbooks/venue-unusable.md; the "
                "connection ladder reduces by itself.",
                Series("min by (venue) (ballast_venue_healthy)", "{{venue}}"),
                links=TRACES,
            ),
            timeline(
                "Leader",
                "Which instance of guardian and execution speaks. None: nobody holds the lease, nothing is traded; two at once must "
                "not be: `ballast halt`, then call an engineer.",
                Series('ballast_leader{job="ballast"}', "{{service}} {{instance}}"),
                links=(to_instance(),),
            ),
            number(
                "Orders that work",
                units.NoUnit,
                "Orders that can still trade. More than the strategies explain: compare with the venue's own list, cancel with `ballast "
                "cancel`.",
                Series("max(ballast_working_orders)", "orders"),
                bound=above(250, 500),
            ),
            number(
                "Heartbeat of the guardian",
                units.Seconds,
                "Since execution last heard it. After two seconds execution takes no new orders by itself: see to the guardian first.",
                Series("max(ballast_guardian_heartbeat_age_seconds)", "age"),
                bound=above(1, 2),
                links=(to_board(board.RISK, "Risk"),),
            ),
        ),
    )


def _orders() -> Row:
    return Row(
        "Orders on their way",
        (
            chart(
                "Submitted and over, a minute",
                units.NoUnit,
                "Given to the venue, and how they ended. Many rejected: the venue's rules differ from ours; read its reason with "
                "`ballast explain`.",
                Series(per_minute("ballast_orders_submitted_total"), "submitted"),
                Series(per_minute("ballast_orders_ended_total", "outcome"), "{{outcome}}"),
                links=TRACES,
                width=6,
            ),
            chart(
                "Order round trip",
                units.Seconds,
                "From submitted until the venue accepted or rejected. Slow: the venue or the line to it; nothing here resends before "
                "it has asked.",
                Series(quantile(0.5, "ballast_order_roundtrip_seconds"), "half of them below"),
                Series("system:ballast_order_roundtrip_seconds:p99_rate5m", "99 % below"),
                bound=above(0.5, 1),
                links=TRACES,
                width=6,
            ),
            chart(
                "Tick to order",
                units.Seconds,
                "From a slice said until its order is submitted. Above the limit: follow a trace and see which hop is long; often "
                "PostgreSQL's commit of the intent.",
                Series(quantile(0.5, "ballast_tick_to_order_seconds"), "half of them below"),
                Series("system:ballast_tick_to_order_seconds:p99_rate5m", "99 % below"),
                limit("vector(0.05)"),
                bound=above(0.05, 0.25),
                links=TRACES,
                width=6,
            ),
            chart(
                "Refused by execution, a minute",
                units.NoUnit,
                "Approved by the guardian and still not sent: approval too old, guardian silent, or intent not recorded. The code says "
                "which service to look at.",
                Series(per_minute('ballast_orders_denied_total{service="execution"}', "code") + " > 0", "{{code}}"),
                bound=above(1, 10),
                links=TRACES,
                width=6,
            ),
        ),
    )


def _books() -> Row:
    return Row(
        "Fills, costs, and both books",
        (
            chart(
                "Fills a minute",
                units.NoUnit,
                "By strategy. A strategy that fills far more than it used to: halt it with `ballast scope` and look for a loop.",
                Series(per_minute("ballast_fills_total", "strategy"), "{{strategy}}"),
                links=(to_board(board.TRADING, "Trading"), *TRACES),
            ),
            chart(
                "Slippage",
                units.NoUnit,
                "Basis points against the price at the decision, positive is worse. The 95 % line rises: spreads are wide or orders too "
                "large for the market.",
                Series(quantile(0.5, "ballast_slippage_bps"), "half of them below, bps"),
                Series(quantile(0.95, "ballast_slippage_bps"), "95 % below, bps"),
                bound=above(10, 50),
            ),
            chart(
                "Costs an hour",
                units.Short,
                "Paid to the venue, in its currency. A jump without more fills: the venue changed its fees; correct the cost model "
                "of the profile.",
                Series(f"3600 * {rate('ballast_costs_total', 'kind', 'currency')}", "{{kind}} {{currency}}"),
                stacked=True,
            ),
            chart(
                "Breaks open",
                units.NoUnit,
                "Differences to the venue's book as of the last comparison; the venue is right. Follow "
                "docs/runbooks/reconciliation-break.md before new risk is taken.",
                Series("max(ballast_reconciliation_breaks_open)", "open"),
                bound=above(1, 5),
            ),
            chart(
                "Breaks found a minute, by kind",
                units.NoUnit,
                "Again and again the same kind: not an accident. Missed fills point at the connection, unknown orders at somebody "
                "else trading the account.",
                Series(per_minute("ballast_reconciliation_breaks_total", "kind"), "{{kind}}"),
                stacked=True,
            ),
            chart(
                "Since the last comparison",
                units.Seconds,
                "How old our knowledge of the venue's book is. Grows without end: execution cannot ask; see whether the venue is "
                "usable.",
                Series(age("ballast_last_reconciliation_timestamp_seconds"), "age"),
                bound=above(600, 1800),
            ),
        ),
    )
