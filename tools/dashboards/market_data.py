"""Whether prices come, how old they are, whether the market is open, and which regime it is in."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard
from tools.dashboards import board
from tools.dashboards.board import Row, Variable, to_board, to_traces
from tools.dashboards.panels import (
    GRAY,
    GREEN,
    Series,
    above,
    age,
    chart,
    limit,
    number,
    per_minute,
    timeline,
)

CHOSEN = '{instrument=~"$instrument"}'
TRACES = (to_traces("market_data"),)


def market_data() -> Dashboard:
    return board.board(
        board.MARKET_DATA,
        "Ballast / Market data and sessions",
        "Whether prices come, how old they are, whether the market is open, which regime it is in.",
        (_feed(), _instruments(), _regimes()),
        (Variable("instrument", "ballast_instrument_last_price_timestamp_seconds"),),
    )


def _feed() -> Row:
    return Row(
        "Feed and session",
        (
            number(
                "Market",
                units.NoUnit,
                "Whether silence of the feed is an alarm now, by the hours named in prometheus.yml. Wrong: set the label `hours` of "
                "market data there.",
                Series("system:trading_hours:bool", "market"),
                states={0: ("closed", GRAY), 1: ("open", GREEN)},
            ),
            number(
                "Recorded data",
                units.NoUnit,
                "Over: a replay has come to its end and no slice will follow; that is no fault. A live feed never says so.",
                Series("max(ballast_feed_ended)", "data"),
                states={0: ("goes on", GREEN), 1: ("over", GRAY)},
            ),
            timeline(
                "Feed healthy",
                "No: the feed is broken and the guardian's stale-price checks deny new risk. Restart market data, then call the "
                "provider.",
                Series("min by (feed) (ballast_feed_healthy)", "{{feed}}"),
                links=TRACES,
            ),
            chart(
                "Error budget of the feed, last hour",
                units.PercentUnit,
                "Share of open seconds without the feed. 0.1 % is what thirty days may have; above it for long, look for another "
                "provider.",
                Series('slo:ballast_errors:ratio1h{slo="feed"}', "last hour"),
                limit('slo:budget:ratio{slo="feed"}', "of thirty days"),
                bound=above(0.006, 0.0144),
                links=(to_board(board.OVERVIEW, "Overview"),),
            ),
            chart(
                "Slices a second",
                units.NoUnit,
                "Steps of the market. Zero in trading hours: nothing is decided any more; see market data's log and its feed.",
                Series("system:ballast_slices:rate5m", "slices"),
                links=TRACES,
            ),
            chart(
                "Age of the last slice",
                units.Seconds,
                "Since market data last spoke. More than a few bars of the fastest timeframe in trading hours is a silent feed: "
                "restart market data.",
                Series(age("ballast_last_slice_timestamp_seconds"), "age"),
                links=TRACES,
            ),
        ),
    )


def _instruments() -> Row:
    return Row(
        "Instruments",
        (
            chart(
                "Age of the last price",
                units.Seconds,
                "By instrument. One line that leaves the others: that instrument is not quoted or its symbol changed; new risk in it "
                "is denied meanwhile.",
                Series(age(f"ballast_instrument_last_price_timestamp_seconds{CHOSEN}", "instrument"), "{{instrument}}"),
                width=12,
            ),
            chart(
                "Rows refused a minute",
                units.NoUnit,
                "Rows of the feed that were put into quarantine, by reason. A few are normal; a steady stream means the provider "
                "changed its format or its prices are bad.",
                Series(per_minute("ballast_rows_quarantined_total", "reason"), "{{reason}}"),
                bound=above(1, 60),
                stacked=True,
                width=12,
            ),
        ),
    )


def _regimes() -> Row:
    return Row(
        "Regimes",
        (
            chart(
                "Instruments in each regime",
                units.NoUnit,
                "How the market is classified, all timeframes together. All in one regime at once is a shock or a broken model: compare "
                "with the prices.",
                Series(
                    f"count by (regime) (max by (instrument, timeframe, regime) (ballast_regime{CHOSEN}))", "{{regime}}"
                ),
                links=(to_traces("regime"),),
                stacked=True,
            ),
            chart(
                "Changes of regime a minute",
                units.NoUnit,
                "By instrument. Many: the classification flickers and strategies turn with it; raise its persistence in "
                "docs/configuration.md, section regime.",
                Series(per_minute(f"ballast_regime_changes_total{CHOSEN}", "instrument"), "{{instrument}}"),
                links=(to_traces("regime"),),
            ),
            timeline(
                "Features of regime and signals",
                "Only features that have failed. Off: too often; follow docs/runbooks/feature-disabled.md. The trading dashboard shows "
                "those of all services.",
                Series(
                    'max by (service, feature) (ballast_feature_enabled{service=~"regime|signals"})',
                    "{{service}} {{feature}}",
                ),
                links=(to_board(board.TRADING, "Trading"),),
            ),
        ),
    )
