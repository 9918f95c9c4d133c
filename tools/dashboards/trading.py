"""From an opinion to a fill, by strategy, and what it earns and costs."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard
from tools.dashboards import board
from tools.dashboards.board import Row, Variable, to_board, to_traces
from tools.dashboards.panels import (
    GREEN,
    RED,
    Series,
    above,
    chart,
    configured,
    limit,
    per_minute,
    rate,
    timeline,
)

CHOSEN = '{strategy=~"$strategy"}'
FEATURES = {0: ("off", RED), 1: ("on", GREEN)}


def trading() -> Dashboard:
    return board.board(
        board.TRADING,
        "Ballast / Trading",
        "What the strategies want, what becomes of it, and what it earns and costs.",
        (_book(), _chain(), _costs()),
        (Variable("strategy", "ballast_signals_total"),),
    )


def _book() -> Row:
    to_risk = (to_board(board.RISK, "Risk"),)
    return Row(
        "The book",
        (
            chart(
                "Equity",
                units.Short,
                "In the money of the account; a gap is a position without a price. Falls faster than markets explain: `ballast halt`, "
                "then compare with the venue's account.",
                Series("max by (book) (ballast_equity)", "{{book}}"),
                links=to_risk,
            ),
            chart(
                "Drawdown",
                units.PercentUnit,
                "Fallen from the peak. At each rung of the ladder positions are cut or trading stops by itself; the run-books "
                "docs/runbooks/ladder-drawdown-1.md and on say what is left to do.",
                Series("max by (book) (ballast_drawdown_ratio)", "{{book}}"),
                configured("drawdown_ladder", "first rung"),
                configured("drawdown", "of new risk"),
                bound=above(0.05, 0.1),
                links=to_risk,
            ),
            chart(
                "Positions",
                units.PercentUnit,
                "Each position as a fraction of equity, long above zero. One that no strategy explains: reconcile, see "
                "docs/runbooks/reconciliation-break.md.",
                Series("max by (instrument) (ballast_position_exposure_ratio)", "{{instrument}}"),
                configured("position", "long"),
                limit('-max(ballast_limit_ratio{limit="position"})', "short"),
                links=to_risk,
            ),
        ),
    )


def _chain() -> Row:
    return Row(
        "From opinion to fill",
        (
            chart(
                "Opinions that changed, a minute",
                units.NoUnit,
                "By strategy. Silent while prices come: the strategy may be off (see features) or have too little history; a flood "
                "means a threshold that flickers.",
                Series(per_minute(f"ballast_signals_total{CHOSEN}", "strategy"), "{{strategy}}"),
                links=(to_traces("signals"),),
                width=6,
            ),
            chart(
                "Orders proposed, a minute",
                units.NoUnit,
                "What the portfolio asks for. Opinions but no proposals: targets may be inside the no-trade band, or sizing finds no "
                "risk left; `ballast explain` tells.",
                Series(per_minute(f"ballast_orders_proposed_total{CHOSEN}", "strategy"), "{{strategy}}"),
                links=(to_traces("portfolio"),),
                width=6,
            ),
            chart(
                "Orders approved, a minute",
                units.NoUnit,
                "What the guardian lets through. Far fewer than proposed: read the codes of the denials below, each names its limit.",
                Series(per_minute(f"ballast_orders_approved_total{CHOSEN}", "strategy"), "{{strategy}}"),
                links=(to_traces("risk_guardian"),),
                width=6,
            ),
            chart(
                "Fills, a minute",
                units.NoUnit,
                "What happened at the venue. Approved but never filled: see the execution dashboard for rejections and working orders.",
                Series(per_minute(f"ballast_fills_total{CHOSEN}", "strategy"), "{{strategy}}"),
                links=(to_board(board.EXECUTION, "Execution"), to_traces("execution")),
                width=6,
            ),
            chart(
                "Share of orders denied",
                units.PercentUnit,
                "Of all orders judged in five minutes. Many: a strategy runs against a limit again and again; lower its size, or halt "
                "it with `ballast scope`.",
                Series("system:ballast_orders_denied:ratio_rate5m", "denied"),
                bound=above(0.2, 0.5),
                links=(to_board(board.RISK, "Risk"),),
            ),
            chart(
                "Orders denied a second, by code",
                units.NoUnit,
                "Which limit says no. STALE codes: data or a service is late; HALTED codes: somebody stopped trading; MAX codes: the "
                "book is full.",
                Series("code:ballast_orders_denied:rate5m > 0", "{{code}}"),
                links=(to_board(board.RISK, "Risk"),),
                stacked=True,
            ),
            timeline(
                "Features",
                "Only features that have failed. Off: too often, it was isolated and trading goes on without it; follow "
                "docs/runbooks/feature-disabled.md.",
                Series("max by (service, feature) (ballast_feature_enabled)", "{{service}} {{feature}}"),
                states=FEATURES,
            ),
        ),
    )


def _costs() -> Row:
    return Row(
        "Costs",
        (
            chart(
                "Costs an hour",
                units.Short,
                "Commissions and financing paid, in their currency. More than the strategy can earn: trade less often, with a wider "
                "no-trade band.",
                Series(f"3600 * {rate('ballast_costs_total', 'kind', 'currency')}", "{{kind}} {{currency}}"),
                stacked=True,
                width=12,
            ),
            chart(
                "Mean slippage of an hour",
                units.NoUnit,
                "Basis points against the price at the decision, positive is worse. Higher than your assumptions: orders are too large "
                "or too late; see tick to order.",
                Series("system:ballast_slippage_bps:mean_rate1h", "mean, bps"),
                bound=above(2, 10),
                links=(to_board(board.EXECUTION, "Execution"),),
                width=12,
            ),
        ),
    )
